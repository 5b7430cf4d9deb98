// What operations on [N, C, …] share.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft::ops {

/// A vector of x's channels in the compute dtype; an undefined one is filled with `missing`. ShapeError, DtypeError
/// `<operation>: <name> …`.
Tensor channel_vector(const char* operation, const char* name, const Tensor& v, const Tensor& x, double missing);
/// Uninitialised, of x's shape and dtype, channels-last.
Tensor empty_channels_last(const Tensor& x);
/// The same with images of another size.
Tensor empty_image(const Tensor& x, int64_t h, int64_t w);

}  // namespace weft::ops
