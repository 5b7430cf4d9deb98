// Products and convolutions by oneDNN.
#pragma once

#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/ops/matmul.h"

namespace weft::cpu {

/// These return false, with nothing written, where oneDNN has no fast way: another dtype than f32 (bf16 where the
/// processor multiplies it), or a case that its plain reference code would serve.
bool onednn_matmul(const MatmulArgs& args, Stream stream);
bool onednn_conv2d(const Conv2dArgs& args, Stream stream);

/// Primitives kept for reuse by all threads, and how many fit before the one unused for longest goes.
int64_t onednn_cached();
inline constexpr int64_t onednn_cache_limit = 1024;

}  // namespace weft::cpu
