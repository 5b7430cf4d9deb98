// Products and convolutions by oneDNN.
#pragma once

#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/ops/matmul.h"

namespace weft::cpu {

/// These return false, with nothing written, where oneDNN has no fast way: another dtype than f32 (bf16 where the
/// processor multiplies it), or a case that its plain reference code would serve. A ReLU is left to the caller.
bool onednn_matmul(const MatmulArgs& args, Stream stream);
bool onednn_conv2d(const Conv2dArgs& args, Stream stream);

}  // namespace weft::cpu
