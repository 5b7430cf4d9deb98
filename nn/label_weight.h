// What losses over classes share. Private to nn/.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft::nn::detail {

/// `weights` on a device; undefined stays so.
Tensor on(const Tensor& weights, Device device);
/// The sum over labels [N, d…] of the weights of their classes (1 without weights), ignored ones left out: rank 0, in
/// the dtype that losses of x [N, C, d…] have. A constant.
Tensor label_weight(const char* name, const Tensor& x, const Tensor& labels, const Tensor& weights,
                    int64_t ignore_label);

}  // namespace weft::nn::detail
