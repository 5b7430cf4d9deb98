#include "weft/tensor/creation.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/tensor/convert.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/random.h"
#include "weft/tensor/random.h"

namespace weft {

Tensor linspace(double start, double stop, int64_t count, const TensorOptions& options) {
  return ops::linspace(start, stop, count, options);
}

Tensor eye(int64_t rows, int64_t columns, const TensorOptions& options) {
  WEFT_CHECK(ShapeError, rows >= 0 && columns >= -1, "eye: ", rows, " rows and ", columns, " columns");
  const int64_t wide = columns < 0 ? rows : columns;
  Tensor y = zeros({rows, wide}, options);
  ops::fill(ops::view(y, {std::min(rows, wide)}, {wide + 1}, y.impl().offset), 1);
  return y;
}

Tensor full_like(const Tensor& x, double value, const LikeOptions& options) {
  Tensor y = ops::empty_strided(x.shape(), ops::dense_strides_in_order_of(x), options.dtype.value_or(x.dtype()),
                                options.device.value_or(x.device()));
  ops::fill(y, value);
  return y;
}
Tensor zeros_like(const Tensor& x, const LikeOptions& options) { return full_like(x, 0, options); }
Tensor ones_like(const Tensor& x, const LikeOptions& options) { return full_like(x, 1, options); }

namespace {

TensorOptions options_like(const Tensor& x, const LikeOptions& options) {
  return {.dtype = options.dtype.value_or(x.dtype()), .device = options.device.value_or(x.device())};
}

// One uniform number per element: f64 where probabilities are, else f32.
Tensor draws(const Shape& shape, DType dtype, Device device) {
  const TensorOptions options{.dtype = dtype == DType::f64 ? DType::f64 : DType::f32, .device = device};
  return ops::uniform(shape, 0, 1, options, default_generator().next(shape));
}

// The high half of a product of 64 bits each: `draw` moved into [0, n), n < 2^63.
int64_t scaled(uint64_t draw, int64_t n) {
  const auto wide = static_cast<uint64_t>(n);
  const uint64_t low = (draw & 0xffffffffu) * (wide & 0xffffffffu),
                 a = (draw >> 32) * (wide & 0xffffffffu) + (low >> 32),
                 b = (draw & 0xffffffffu) * (wide >> 32) + (a & 0xffffffffu);
  return static_cast<int64_t>((draw >> 32) * (wide >> 32) + (a >> 32) + (b >> 32));
}

bool holds_count(DType dtype, int64_t n) {
  bool holds = false;
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t last = std::max<int64_t>(n - 1, 0);
    // Neighbours must not fall together either: of floating types the last gap counts.
    holds =
        convert<int64_t>(convert<T>(last)) == last && (last == 0 || convert<int64_t>(convert<T>(last - 1)) == last - 1);
  });
  return holds;
}

}  // namespace

Tensor rand_like(const Tensor& x, const LikeOptions& options) {
  return uniform(x.shape(), 0, 1, options_like(x, options));
}

Tensor randn_like(const Tensor& x, const LikeOptions& options) { return randn(x.shape(), options_like(x, options)); }

Tensor bernoulli(const Shape& shape, double p, const TensorOptions& options) {
  WEFT_CHECK(Error, p >= 0 && p <= 1, "bernoulli: p is ", p, "; it is the probability of 1, in [0, 1]");
  return ops::cast(ops::compare(CompareOp::less, draws(shape, options.dtype, options.device), p), options.dtype);
}

Tensor bernoulli(const Tensor& p) {
  ops::check_floating("bernoulli", p);
  return ops::cast(ops::less(draws(p.shape(), p.dtype(), p.device()), p), p.dtype());
}

Tensor randperm(int64_t n, const TensorOptions& options) {
  WEFT_CHECK(ShapeError, n >= 0, "randperm: n is ", n, "; it is the number of elements");
  WEFT_CHECK(DtypeError, holds_count(options.dtype, n), "randperm: ", options.dtype, " does not hold 0 … ", n - 1,
             "; use int64");
  const RandomCall call = default_generator().next(Shape{});
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = n - 1; i > 0; --i) {
    const int64_t j = scaled(philox::long_word_of(call, static_cast<uint64_t>(i)), i + 1);
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(j)]);
  }
  return ops::cast(detail::copy_from_host(order.data(), {n}, DType::i64, options.device), options.dtype);
}

}  // namespace weft
