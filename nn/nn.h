// Everything of nn/ in one header.
#pragma once

#include "weft/nn/activation.h"
#include "weft/nn/batch_norm.h"
#include "weft/nn/conv2d.h"
#include "weft/nn/dropout.h"
#include "weft/nn/ema.h"
#include "weft/nn/init.h"
#include "weft/nn/linear.h"
#include "weft/nn/loss.h"
#include "weft/nn/metrics.h"
#include "weft/nn/module.h"
#include "weft/nn/pool.h"
#include "weft/nn/segmentation_loss.h"
#include "weft/nn/sequential.h"
#include "weft/nn/serialize.h"
