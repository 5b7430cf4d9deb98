// The class that a label names, for losses over classes. Private to nn/.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft::nn::detail {

struct Picked {
  Tensor value;    ///< [N, d…]: x at the label's class; 0 where the label is ignored. Recorded.
  Tensor weight;   ///< [N, d…], of x's dtype: the class' weight; 0 where the label is ignored. A constant.
  Tensor classes;  ///< [N, C, d…], bool: true at the label's class, false everywhere where the label is ignored.
};
/// x [N, C, d…], labels [N, d…] of an integer dtype, weights [C] or undefined (1), on any device. Throws ShapeError,
/// DtypeError naming the loss; on the CPU IndexError for a label out of range, which on CUDA gives the value NaN.
Picked pick_class(const char* name, const Tensor& x, const Tensor& labels, int64_t ignore_label,
                  const Tensor& weights = {});

/// [C] in x's dtype and on its device as [1, C, 1…], to be broadcast over x [N, C, d…].
Tensor per_class(const Tensor& weights, const Tensor& x);
/// A rank 0 tensor with x's dtype and device.
Tensor constant_like(const Tensor& x, int64_t value);

}  // namespace weft::nn::detail
