#include "weft/tensor/shape.h"

#include <algorithm>

#include "weft/tensor/error.h"

namespace weft {

Dims::Dims(std::span<const int64_t> values) {
  WEFT_CHECK(ShapeError, values.size() <= max_rank, "shape: ", values.size(), " dimensions; weft holds at most ",
             max_rank);
  rank_ = static_cast<int>(values.size());
  std::copy(values.begin(), values.end(), values_);
}

Dims Dims::filled(int rank, int64_t value) {
  Dims dims;
  for (int i = 0; i < rank; ++i) dims.push_back(value);
  return dims;
}

void Dims::push_back(int64_t value) { insert(rank_, value); }

void Dims::insert(int position, int64_t value) {
  WEFT_CHECK(ShapeError, rank_ < max_rank, "shape: one more dimension than ", *this, "; weft holds at most ", max_rank);
  for (int i = rank_; i > position; --i) values_[i] = values_[i - 1];
  values_[position] = value;
  ++rank_;
}

void Dims::erase(int position) {
  for (int i = position; i + 1 < rank_; ++i) values_[i] = values_[i + 1];
  --rank_;
}

std::string to_string(const Dims& dims) {
  std::string text = "[";
  for (int i = 0; i < dims.rank(); ++i) {
    if (i) text += ", ";
    text += std::to_string(dims[i]);
  }
  return text + "]";
}

int64_t numel_of(const Shape& shape, const char* operation) {
  constexpr int64_t limit = int64_t{1} << 62;
  int64_t product = 1;
  bool zero = false;
  for (const int64_t extent : shape) {
    WEFT_CHECK(ShapeError, extent >= 0, operation, ": negative extent in shape ", shape);
    zero |= extent == 0;
  }
  if (zero) return 0;
  for (const int64_t extent : shape) {
    WEFT_CHECK(ShapeError, extent <= limit / product, operation, ": shape ", shape, " has more than 2^62 elements");
    product *= extent;
  }
  return product;
}

namespace {

// The order of dimensions from slowest to fastest.
Dims memory_order(int rank, Layout layout) {
  Dims order;
  for (int i = 0; i < rank; ++i) order.push_back(i);
  if (layout == Layout::channels_last && rank >= 3) {
    order.erase(1);
    order.push_back(1);
  }
  return order;
}

}  // namespace

Strides strides_of(const Shape& shape, Layout layout) {
  const Dims order = memory_order(shape.rank(), layout);
  Strides strides = Dims::filled(shape.rank(), 1);
  uint64_t stride = 1;  // may wrap for a shape that numel_of() refuses
  for (int i = shape.rank() - 1; i >= 0; --i) {
    const int dim = static_cast<int>(order[i]);
    strides[dim] = static_cast<int64_t>(stride);
    stride *= static_cast<uint64_t>(std::max<int64_t>(shape[dim], 1));
  }
  return strides;
}

// No elements, no gaps: dense whatever the strides.
static bool has_zero(const Shape& shape) { return std::find(shape.begin(), shape.end(), 0) != shape.end(); }

bool is_dense(const Shape& shape, const Strides& strides, Layout layout) {
  if (layout == Layout::row_major) {  // the common case, without building the order
    int64_t expected = 1;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      if (shape[i] != 1 && strides[i] != expected) return has_zero(shape);
      expected *= shape[i];
    }
    return true;
  }
  const Strides dense = strides_of(shape, layout);
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] != 1 && strides[i] != dense[i]) return has_zero(shape);
  return true;
}

bool is_permuted_dense(const Shape& shape, const Strides& strides) {
  if (is_dense(shape, strides, Layout::row_major)) return true;
  // Repeatedly find the dimension whose stride continues the block.
  int64_t expected = 1;
  uint32_t open = 0;
  for (int i = 0; i < shape.rank(); ++i)
    if (shape[i] != 1) open |= 1u << i;
  while (open) {
    int found = -1;
    for (int i = 0; i < shape.rank(); ++i)
      if ((open >> i & 1u) && strides[i] == expected) found = i;
    if (found < 0) return false;
    expected *= shape[found];
    open &= ~(1u << found);
  }
  return true;
}

Shape broadcast(const char* operation, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const int rank = std::max(a.rank(), b.rank());
  Shape shape = Dims::filled(rank, 1);
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    WEFT_CHECK(ShapeError, da == db || da == 1 || db == 1, operation, ": shapes ", a, " and ", b,
               " do not broadcast (dimension ", i, ": ", da, " against ", db, ")");
    shape[i] = da == 1 ? db : da;
  }
  return shape;
}

int normalize_axis(const char* operation, int64_t axis, int rank) {
  WEFT_CHECK(IndexError, axis >= -rank && axis < rank, operation, ": axis ", axis,
             " is out of range for a tensor of rank ", rank);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace weft
