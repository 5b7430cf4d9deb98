// What recorded reductions and other composites share: axes as shapes and counts, and a wider dtype to compute in.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft::autograd {

/// `shape` with 1 for every reduced axis.
Shape kept_shape(const char* operation, const Shape& shape, const std::vector<int64_t>& axes);
/// Elements that meet in one result. IndexError `<operation>: …` for an axis out of range or named twice.
int64_t reduced_count(const char* operation, const Shape& shape, const std::vector<int64_t>& axes);
/// The same; ShapeError if results would be made of nothing.
int64_t some_reduced(const char* operation, const Shape& shape, const std::vector<int64_t>& axes);
/// Recorded: 16-bit types as f32, in which sums of their values do not overflow; others as they are.
Tensor widened(const Tensor& x);

}  // namespace weft::autograd
