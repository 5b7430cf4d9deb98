// weft in one header: tensors, recorded operations, the tape.
#pragma once

#include "weft/autograd/backward.h"
#include "weft/autograd/function.h"
#include "weft/autograd/gradcheck.h"
#include "weft/autograd/record.h"
#include "weft/autograd/record_scope.h"
#include "weft/ops.h"  // every file of autograd/ops/; written by the build
#include "weft/tensor/device.h"
#include "weft/tensor/dtype.h"
#include "weft/tensor/error.h"
#include "weft/tensor/per_device.h"
#include "weft/tensor/random.h"
#include "weft/tensor/shape.h"
#include "weft/tensor/tensor.h"
#include "weft/version.h"
