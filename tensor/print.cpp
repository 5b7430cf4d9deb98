// Printing as NumPy does: aligned columns, nested brackets, long axes summarised; then dtype and device.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>

#include "weft/tensor/tensor.h"

namespace weft {

namespace {

constexpr int64_t summarise_above = 1000;
constexpr int64_t edge_items = 3;

struct Printer {
  std::vector<double> values;     // floating and bool, in logical order
  std::vector<int64_t> integers;  // integer dtypes, exact
  Shape shape;
  DType dtype;
  bool summarise = false;
  bool scientific = false;
  int digits = 0;
  size_t width = 0;

  std::string format(int64_t i) const {
    const auto index = static_cast<size_t>(i);
    if (dtype == DType::boolean) return values[index] != 0 ? "true" : "false";
    if (!is_floating(dtype)) return std::to_string(integers[index]);
    const double x = values[index];
    if (std::isnan(x)) return "nan";
    if (std::isinf(x)) return x > 0 ? "inf" : "-inf";
    char text[48];
    if (scientific)
      std::snprintf(text, sizeof text, "%.4e", x);
    else
      std::snprintf(text, sizeof text, "%.*f", digits, x);
    std::string result = text;
    std::replace(result.begin(), result.end(), ',', '.');  // a decimal-comma locale of the host program
    return result;
  }

  bool shown(int dim, int64_t i) const {
    return !summarise || shape[dim] <= 2 * edge_items || i < edge_items || i >= shape[dim] - edge_items;
  }

  // Calls f(flat index) for every element that is printed.
  template <class F>
  void each_shown(const F& f, int dim = 0, int64_t base = 0) const {
    if (dim == shape.rank()) {
      f(base);
      return;
    }
    for (int64_t i = 0; i < shape[dim]; ++i)
      if (shown(dim, i)) each_shown(f, dim + 1, base * shape[dim] + i);
  }

  void choose_format() {
    double largest = 0, smallest = HUGE_VAL;
    bool whole = true;
    each_shown([&](int64_t i) {
      if (!is_floating(dtype)) return;
      const double x = std::fabs(values[static_cast<size_t>(i)]);
      if (!std::isfinite(x)) return;
      largest = std::max(largest, x);
      if (x > 0) smallest = std::min(smallest, x);
      whole &= x == std::floor(x);
    });
    scientific =
        largest >= 1e8 || (smallest < 1e-4 && !whole) || (largest / smallest > 1e5 && !whole && smallest < HUGE_VAL);
    digits = whole ? 1 : 4;
    each_shown([&](int64_t i) { width = std::max(width, format(i).size()); });
  }

  void write(std::string& out, int dim, int64_t base) const {
    if (dim == shape.rank()) {
      const std::string text = format(base);
      out.append(width - text.size(), ' ');
      out += text;
      return;
    }
    out += '[';
    bool gap = false;
    for (int64_t i = 0; i < shape[dim]; ++i) {
      if (!shown(dim, i)) {
        if (!gap) out += dim + 1 == shape.rank() ? ", ..." : separator(dim) + "...";
        gap = true;
        continue;
      }
      if (i) out += dim + 1 == shape.rank() ? ", " : separator(dim);
      write(out, dim + 1, base * shape[dim] + i);
    }
    out += ']';
  }

  std::string separator(int dim) const {
    return "," + std::string(static_cast<size_t>(shape.rank() - dim - 1), '\n') +
           std::string(static_cast<size_t>(dim) + 1, ' ');
  }
};

}  // namespace

std::string to_string(const Tensor& x) {
  if (!x.defined()) return "tensor(undefined)";
  Printer p;
  p.shape = x.shape();
  p.dtype = x.dtype();
  p.summarise = x.numel() > summarise_above;
  if (is_floating(x.dtype()) || x.dtype() == DType::boolean)
    p.values = x.to_vector<double>();
  else
    p.integers = x.to_vector<int64_t>();
  p.choose_format();
  std::string text;
  p.write(text, 0, 0);
  return text + "\n" + detail::concat(x.dtype(), x.shape(), " on ", x.device());
}

std::ostream& operator<<(std::ostream& out, const Tensor& x) { return out << to_string(x); }
std::ostream& operator<<(std::ostream& out, const Dims& dims) { return out << to_string(dims); }
std::ostream& operator<<(std::ostream& out, DType t) { return out << name_of(t); }
std::ostream& operator<<(std::ostream& out, Device device) { return out << to_string(device); }

}  // namespace weft
