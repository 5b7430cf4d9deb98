// The simulated cuDNN's engines: their notes, and what they compute.
#include <algorithm>
#include <random>

#include "fake_cudnn.h"
#include "fake_values.h"

namespace weft::sim::dnn {
namespace {

Element element(cudnnDataType_t type) {
  return type == CUDNN_DATA_DOUBLE  ? Element::f64
         : type == CUDNN_DATA_FLOAT ? Element::f32
         : type == CUDNN_DATA_HALF  ? Element::f16
                                    : Element::bf16;
}

// Calls visit(x's, w's, y's element) for every product of the convolution.
template <class Visit>
void for_each_product(const Convolution& c, Visit visit) {
  const int64_t in = c.w.extent[1], out = c.w.extent[0] / c.groups;
  for (int64_t n = 0; n < c.y.extent[0]; ++n)
    for (int64_t o = 0; o < c.y.extent[1]; ++o)
      for (int64_t i = 0; i < c.y.extent[2]; ++i)
        for (int64_t j = 0; j < c.y.extent[3]; ++j)
          for (int64_t p = 0; p < c.w.extent[2]; ++p)
            for (int64_t q = 0; q < c.w.extent[3]; ++q) {
              const int64_t h = i * c.stride[0] + p * c.dilation[0] - c.before[0];
              const int64_t v = j * c.stride[1] + q * c.dilation[1] - c.before[1];
              if (h < 0 || h >= c.x.extent[2] || v < 0 || v >= c.x.extent[3]) continue;
              for (int64_t k = 0; k < in; ++k)
                visit(c.x.at(n, o / out * in + k, h, v), c.w.at(o, k, p, q), c.y.at(n, o, i, j));
            }
}

std::vector<double> loaded(const void* data, const Tensor& tensor, bool rounds) {
  const Element type = element(tensor.type);
  std::vector<double> values(tensor.bytes() / size_of(type));
  for (size_t i = 0; i < values.size(); ++i) {
    const double value = load(data, type, static_cast<int64_t>(i));
    values[i] = rounds ? to_tf32(value) : value;
  }
  return values;
}

struct Term {
  size_t to;
  double value;
};

// In any order and in single precision, or the order would hardly show.
void add_hastily(std::vector<double>& sums, std::vector<Term>& terms, uint64_t seed) {
  std::shuffle(terms.begin(), terms.end(), std::mt19937_64(seed));
  for (const Term& term : terms) sums[term.to] = static_cast<float>(sums[term.to] + term.value);
}

bool loses_nan = false;

}  // namespace

void lose_nan(bool lose) { loses_nan = lose; }

std::vector<int64_t> engines(cudnnBackendHeurMode_t mode) {
  if (mode == CUDNN_HEUR_MODE_FALLBACK) return {naive};
  return {hasty, rounding, refusing, exact};
}

std::vector<cudnnBackendNumericalNote_t> notes(int64_t engine) {
  switch (engine) {
    case hasty:
      return {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC};
    case rounding:
      return {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS};
    case naive:
      return {CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP};
    default:
      return {};
  }
}

int64_t workspace_bytes(const Convolution& c, int64_t engine) {
  return engine == exact ? 256 + c.x.extent[1] * 16 + c.y.extent[1] * 16 : 0;
}

void compute(const Convolution& c, int64_t engine, void* x, void* w, void* y, const void* bias, uint64_t seed) {
  const bool rounds = engine == rounding && c.x.type == CUDNN_DATA_FLOAT;
  // The pass's result, from the operands a and b; each with the place of its index among those of a product.
  const Tensor& to = c.pass == Pass::forward ? c.y : c.pass == Pass::data ? c.x : c.w;
  const int result = c.pass == Pass::forward ? 2 : c.pass == Pass::data ? 0 : 1;
  const int first = c.pass == Pass::data ? 1 : 0, second = c.pass == Pass::forward ? 1 : 2;
  const Tensor* tensors[] = {&c.x, &c.w, &c.y};
  void* data[] = {x, w, y};
  const std::vector<double> a = loaded(data[first], *tensors[first], rounds);
  const std::vector<double> b = loaded(data[second], *tensors[second], rounds);

  std::vector<double> sums(static_cast<size_t>(to.extent[0] * to.stride[0]));
  std::vector<Term> terms;
  for_each_product(c, [&](int64_t at_x, int64_t at_w, int64_t at_y) {
    const size_t at[] = {static_cast<size_t>(at_x), static_cast<size_t>(at_w), static_cast<size_t>(at_y)};
    const double product = a[at[first]] * b[at[second]];
    if (engine == hasty)
      terms.push_back({at[result], product});
    else
      sums[at[result]] += product;
  });
  add_hastily(sums, terms, seed);
  const int64_t channels = c.y.extent[1];
  for (size_t i = 0; bias && i < sums.size(); ++i)
    sums[i] += load(bias, element(c.bias.type), static_cast<int64_t>(i) % channels);
  const bool keeps_nan = c.keeps_nan && !loses_nan;
  for (size_t i = 0; c.rectified && i < sums.size(); ++i)
    if (keeps_nan ? sums[i] <= 0 : !(sums[i] > 0)) sums[i] = 0;
  for (size_t i = 0; i < sums.size(); ++i) store(data[result], element(to.type), static_cast<int64_t>(i), sums[i]);
}

}  // namespace weft::sim::dnn
