#include "tests/support/array.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace weft::test {

namespace {

// Calls f(index) for every index of the shape in row-major order.
template <class F>
void each_index(const Shape& shape, F&& f) {
  std::vector<int64_t> index(static_cast<size_t>(shape.rank()), 0);
  for (int64_t left = numel_of(shape); left > 0; --left) {
    f(index);
    for (int axis = shape.rank(); axis-- > 0;) {
      const auto a = static_cast<size_t>(axis);
      if (++index[a] < shape[axis]) break;
      index[a] = 0;
    }
  }
}

int64_t position(const std::vector<int64_t>& index, const Strides& strides) {
  int64_t at = 0;
  for (int axis = 0; axis < strides.rank(); ++axis) at += index[static_cast<size_t>(axis)] * strides[axis];
  return at;
}

Strides padded_strides(const Shape& shape, const Shape& to, bool grow_is_zero) {
  const Strides own = strides_of(shape);
  Strides strides = Dims::filled(to.rank(), 0);
  const int lead = to.rank() - shape.rank();
  for (int axis = 0; axis < shape.rank(); ++axis)
    strides[axis + lead] = grow_is_zero && shape[axis] == 1 ? 0 : own[axis];
  return strides;
}

std::string index_text(const std::vector<int64_t>& index) {
  std::string text = "[";
  for (size_t i = 0; i < index.size(); ++i) text += (i ? ", " : "") + std::to_string(index[i]);
  return text + "]";
}

bool agrees(double got, double expected, double allowed) {
  if (std::isnan(expected) || std::isnan(got)) return std::isnan(expected) && std::isnan(got);
  if (std::isinf(expected) || std::isinf(got)) return got == expected;
  return std::abs(got - expected) <= allowed;
}

std::string worst(const Array& got, const Array& expected, const std::function<double(double)>& allowed) {
  if (!(got.shape == expected.shape)) return detail::concat("shape ", got.shape, ", expected ", expected.shape);
  int64_t bad = 0;
  double most = -1;
  std::string text;
  int64_t i = 0;
  each_index(got.shape, [&](const std::vector<int64_t>& index) {
    const double g = got[i], e = expected[i];
    ++i;
    if (agrees(g, e, allowed(e))) return;
    ++bad;
    const double off = std::isfinite(g - e) ? std::abs(g - e) - allowed(e) : std::numeric_limits<double>::infinity();
    if (off <= most) return;
    most = off;
    char line[200];
    std::snprintf(line, sizeof line, "element %s is %.9g, expected %.9g (allowed difference %.3g)",
                  index_text(index).c_str(), g, e, allowed(e));
    text = line;
  });
  if (!bad) return "";
  return detail::concat(text, "; ", bad, " of ", got.numel(), " elements differ");
}

}  // namespace

Array::Array(const Shape& s, std::vector<double> v) : shape(s), values(std::move(v)) {
  WEFT_CHECK(ShapeError, numel_of(s) == numel(), "Array: ", numel(), " values do not fill shape ", s);
}

size_t Array::offset(std::initializer_list<int64_t> index) const {
  WEFT_CHECK(IndexError, static_cast<int>(index.size()) == shape.rank(), "Array: ", index.size(), " indices for shape ",
             shape);
  int64_t at = 0;
  int axis = 0;
  for (const int64_t i : index) {
    WEFT_CHECK(IndexError, i >= 0 && i < shape[axis], "Array: index ", i, " on axis ", axis, " of shape ", shape);
    at = at * shape[axis++] + i;
  }
  return static_cast<size_t>(at);
}

Array map(const Array& x, const std::function<double(double)>& f) {
  Array y = x;
  for (double& value : y.values) value = f(value);
  return y;
}

Array zip(const Array& a, const Array& b, const std::function<double(double, double)>& f) {
  Array y(broadcast("zip", a.shape, b.shape));
  const Strides sa = padded_strides(a.shape, y.shape, true), sb = padded_strides(b.shape, y.shape, true);
  int64_t i = 0;
  each_index(y.shape,
             [&](const std::vector<int64_t>& index) { y[i++] = f(a[position(index, sa)], b[position(index, sb)]); });
  return y;
}

Array fold(const Array& x, std::vector<int> axes, bool keep, double start,
           const std::function<double(double, double)>& f) {
  std::vector<bool> folded(static_cast<size_t>(x.shape.rank()), axes.empty());
  for (int axis : axes) folded[static_cast<size_t>(axis < 0 ? axis + x.shape.rank() : axis)] = true;
  Shape kept, result;
  for (int axis = 0; axis < x.shape.rank(); ++axis) {
    const bool gone = folded[static_cast<size_t>(axis)];
    kept.push_back(gone ? 1 : x.shape[axis]);
    if (!gone || keep) result.push_back(gone ? 1 : x.shape[axis]);
  }
  Array y(kept, start);
  const Strides strides = padded_strides(kept, kept, true);
  int64_t i = 0;
  each_index(x.shape, [&](const std::vector<int64_t>& index) {
    double& value = y[position(index, strides)];
    value = f(value, x[i++]);
  });
  y.shape = result;
  return y;
}

Array to_array(const Tensor& x) { return Array(x.shape(), x.to_vector<double>()); }

Tolerance tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::f16:
      return {1e-3, 1e-5};
    case DType::bf16:
      return {1.6e-2, 1e-5};
    case DType::f32:
      return {1.3e-6, 1e-5};
    case DType::f64:
      return {1e-7, 1e-7};
    default:
      return {0, 0};
  }
}

std::string difference(const Array& got, const Array& expected, Tolerance tolerance) {
  return worst(got, expected, [&](double e) { return tolerance.absolute + tolerance.relative * std::abs(e); });
}

std::string gradient_difference(const Array& got, const Array& expected, double relative) {
  double largest = 0.1;  // gradients that should vanish are differences of numbers of this size
  for (double e : expected.values)
    if (std::isfinite(e)) largest = std::max(largest, std::abs(e));
  return worst(got, expected, [&](double e) { return relative * (largest + std::abs(e)); });
}

const char* name_of(Arrangement arrangement) {
  static constexpr const char* names[arrangements] = {"contiguous", "transposed",     "channels-last", "offset slice",
                                                      "stride 2",   "expanded first", "expanded last"};
  return names[static_cast<int>(arrangement)];
}

bool permits(const Shape& shape, Arrangement arrangement) {
  const int rank = shape.rank();
  int wide = 0;
  for (int64_t extent : shape) {
    if (extent == 0) return arrangement == Arrangement::contiguous;
    wide += extent > 1;
  }
  switch (arrangement) {
    case Arrangement::contiguous:
      return true;
    case Arrangement::transposed:
      return wide >= 2;
    case Arrangement::channels_last:
      return rank >= 3 && shape[1] > 1 && wide >= (shape[0] > 1 ? 3 : 2);
    case Arrangement::offset_slice:
    case Arrangement::stride_2:
      return rank >= 1;
    case Arrangement::expanded_first:
      return rank >= 1 && shape[0] > 1;
    case Arrangement::expanded_last:
      return rank >= 2 && shape[rank - 1] > 1;
  }
  return false;
}

Array representable(Array x, Arrangement arrangement) {
  if (arrangement != Arrangement::expanded_first && arrangement != Arrangement::expanded_last) return x;
  const int axis = arrangement == Arrangement::expanded_first ? 0 : x.shape.rank() - 1;
  const Strides strides = strides_of(x.shape);
  int64_t i = 0;
  each_index(x.shape, [&](std::vector<int64_t> index) {
    index[static_cast<size_t>(axis)] = 0;
    x[i++] = x[position(index, strides)];
  });
  return x;
}

namespace {

struct Placement {
  int64_t elements;  // of the storage
  int64_t offset;
  Strides strides;
};

Placement place(const Shape& shape, Arrangement arrangement) {
  const int last = shape.rank() - 1;
  Shape parent = shape;
  switch (arrangement) {
    case Arrangement::contiguous:
      return {numel_of(shape), 0, strides_of(shape)};
    case Arrangement::channels_last:
      return {numel_of(shape), 0, strides_of(shape, Layout::channels_last)};
    case Arrangement::transposed: {
      Strides strides = shape;
      int64_t next = 1;
      for (int axis = 0; axis <= last; ++axis) {
        strides[axis] = next;
        next *= shape[axis];
      }
      return {next, 0, strides};
    }
    case Arrangement::offset_slice: {
      for (int axis = 0; axis <= last; ++axis) parent[axis] += 2;
      const Strides strides = strides_of(parent);
      return {numel_of(parent), std::accumulate(strides.begin(), strides.end(), int64_t{0}), strides};
    }
    case Arrangement::stride_2: {
      parent[last] *= 2;
      Strides strides = strides_of(parent);
      strides[last] = 2;
      return {numel_of(parent), 0, strides};
    }
    case Arrangement::expanded_first:
    case Arrangement::expanded_last: {
      const int axis = arrangement == Arrangement::expanded_first ? 0 : last;
      parent[axis] = 1;
      Strides strides = strides_of(parent);
      strides[axis] = 0;
      return {numel_of(parent), 0, strides};
    }
  }
  return {};
}

template <class T>
T cast_to(double value) {
  if constexpr (std::is_same_v<T, bool>)
    return value != 0;
  else if constexpr (std::is_same_v<T, uint8_t>)
    return static_cast<uint8_t>(std::abs(value));
  else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
    return T(static_cast<float>(value));
  else
    return static_cast<T>(value);
}

}  // namespace

Tensor make_tensor(const Array& x, DType dtype, Device device, Arrangement arrangement) {
  const Placement placement = place(x.shape, arrangement);
  const double filler = is_floating(dtype) ? std::numeric_limits<double>::quiet_NaN() : 77;
  std::vector<double> memory(static_cast<size_t>(placement.elements), filler);
  int64_t i = 0;
  each_index(x.shape, [&](const std::vector<int64_t>& index) {
    memory[static_cast<size_t>(placement.offset + position(index, placement.strides))] = x[i++];
  });
  Tensor base;
  const Shape all = arrangement == Arrangement::contiguous ? x.shape : Shape{placement.elements};
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    std::vector<T> typed(memory.size());
    for (size_t k = 0; k < memory.size(); ++k) typed[k] = cast_to<T>(memory[k]);
    base = tensor(typed, all, device);
  });
  if (arrangement == Arrangement::contiguous) return base;
  return ops::view(base, x.shape, placement.strides, placement.offset);
}

Array rounded(const Array& x, DType dtype) {
  Array y = x;
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (double& value : y.values) value = static_cast<double>(cast_to<T>(value));
  });
  return y;
}

}  // namespace weft::test
