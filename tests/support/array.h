// Array: host values in double with a shape, what naive references compute with; and the recipes inputs are made from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "weft/tensor/tensor.h"

namespace weft::test {

/// Row-major. For references written as plain loops: `y(n, c) += x(n, k) * w(k, c)`.
struct Array {
  Shape shape;
  std::vector<double> values;

  Array() = default;
  explicit Array(const Shape& s, double fill = 0) : shape(s), values(static_cast<size_t>(numel_of(s)), fill) {}
  Array(const Shape& s, std::vector<double> v);
  int64_t size(int axis) const { return shape[axis < 0 ? axis + shape.rank() : axis]; }
  int64_t numel() const { return static_cast<int64_t>(values.size()); }
  template <class... I>
  double& operator()(I... i) {
    return values[offset({static_cast<int64_t>(i)...})];
  }
  template <class... I>
  double operator()(I... i) const {
    return values[offset({static_cast<int64_t>(i)...})];
  }
  double& operator[](int64_t flat) { return values[static_cast<size_t>(flat)]; }
  double operator[](int64_t flat) const { return values[static_cast<size_t>(flat)]; }

 private:
  size_t offset(std::initializer_list<int64_t> index) const;
};
using Arrays = std::vector<Array>;

Array map(const Array& x, const std::function<double(double)>& f);
/// Broadcasts as the library does.
Array zip(const Array& a, const Array& b, const std::function<double(double, double)>& f);
/// Folds f over the axes (none: all) from `start`, in logical order.
Array fold(const Array& x, std::vector<int> axes, bool keep, double start,
           const std::function<double(double, double)>& f);

/// The values of a tensor, whatever its dtype, layout and device.
Array to_array(const Tensor& x);

struct Tolerance {
  double relative = 0;
  double absolute = 0;
};
/// f16 1e-3, bf16 1.6e-2, f32 1.3e-6 (absolute 1e-5 each), f64 1e-7; other dtypes: exact.
Tolerance tolerance_of(DType dtype);
/// Empty if shapes are equal and |got - expected| <= absolute + relative |expected| everywhere (NaN equals NaN,
/// infinities themselves); else a text with the worst element.
std::string difference(const Array& got, const Array& expected, Tolerance tolerance);
/// The same with a tolerance relative to the largest |expected|: for gradients, whose elements are sums that cancel.
std::string gradient_difference(const Array& got, const Array& expected, double relative);

/// How a tensor lies in memory; slices and strides have NaN (or 77) in the storage around the elements.
enum class Arrangement : uint8_t {
  contiguous,
  transposed,
  channels_last,
  offset_slice,
  stride_2,
  expanded_first,
  expanded_last
};
inline constexpr int arrangements = 7;
const char* name_of(Arrangement arrangement);
/// False where the shape has no such arrangement (rank, extents).
bool permits(const Shape& shape, Arrangement arrangement);
/// The values a tensor of this arrangement can hold: x, with element 0 repeated along the axis of zero stride.
Array representable(Array x, Arrangement arrangement);
/// A tensor with the values of x rounded to dtype. x must be representable.
Tensor make_tensor(const Array& x, DType dtype, Device device = {}, Arrangement arrangement = Arrangement::contiguous);
/// What a tensor of `dtype` holds after being given x: rounded; u8 takes |x|, bool x != 0.
Array rounded(const Array& x, DType dtype);

/// A recipe for one input of an operation. The default: floating values spread over [-2, 2], tracked.
struct Input {
  Shape shape;
  double low = -2, high = 2;
  enum class Fill : uint8_t { uniform, integers, distinct, given } fill = Fill::uniform;
  std::vector<double> given = {};
  bool follows_row = true;  ///< has the dtype of the row's run; else `fixed`
  DType fixed = DType::f32;
  bool is_tracked = true;
  bool rearranged = true;

  /// Uniform in [from, to).
  Input range(double from, double to) const;
  Input positive() const { return range(0.5, 2); }
  /// Whole numbers from … to, ends included: results that are exact in every dtype.
  Input integers(int from = -4, int to = 4) const;
  /// No two elements within 0.05 of each other or of zero, shuffled: for maxima and kinks.
  Input distinct() const;
  Input values(std::vector<double> v) const;
  /// This dtype in every run.
  Input dtype(DType t) const;
  /// Whole numbers 0 … classes-1 as i64, untracked.
  Input labels(int classes) const;
  /// No gradient is asked for.
  Input untracked() const;
  /// Always contiguous.
  Input as_is() const;

  DType dtype_in(DType row) const { return follows_row ? row : fixed; }
  bool tracked_in(DType row) const { return is_tracked && is_floating(dtype_in(row)); }
};
inline Input input(const Shape& shape) { return Input{.shape = shape}; }

/// The recipe's values; a pure function of recipe and seed.
Array make_values(const Input& input, uint64_t seed);

/// The seed of all random tests: WEFT_TEST_SEED, a fixed one if unset, a new one each run if it is "random".
uint64_t test_seed();
/// A seed for one purpose, from test_seed() and a name.
uint64_t seed_for(const std::string& name);

/// Uniform bits: for tests that draw their own cases.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}
  uint64_t bits();
  double uniform(double from = 0, double to = 1);
  /// from … to, ends included.
  int64_t integer(int64_t from, int64_t to);

 private:
  uint64_t state_;
};

}  // namespace weft::test
