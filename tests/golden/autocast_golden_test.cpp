// Against torch.autocast: cases/autocast.py. Dtypes exactly; values and gradients as far as bfloat16 goes.
#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <set>

#include "tests/support/npz.h"
#include "tests/support/paths.h"
#include "weft/autograd/autocast.h"
#include "weft/autograd/backward.h"
#include "weft/ops.h"
#include "weft/tensor/operators.h"

using namespace weft;
using namespace weft::test;

namespace {

Tensor half(const Tensor& x) { return to(x, DType::bf16); }

using Rows = std::map<std::string, std::function<Tensor(const Tensors&)>>;

Rows rows() {
  const auto of_half = [](Tensor (*f)(const Tensor&)) { return [f](const Tensors& x) { return f(half(x[0])); }; };
  return {
      {"matmul", [](const Tensors& x) { return matmul(x[0], x[1]); }},
      {"matmul_half", [](const Tensors& x) { return matmul(half(x[0]), x[1]); }},
      {"matmul_vector", [](const Tensors& x) { return matmul(x[0], x[1]); }},
      {"matmul_batched", [](const Tensors& x) { return matmul(x[0], x[1]); }},
      {"linear", [](const Tensors& x) { return linear(x[0], x[1], x[2]); }},
      {"conv1d", [](const Tensors& x) { return conv1d(x[0], x[1], {.padding = 1, .bias = x[2]}); }},
      {"conv2d", [](const Tensors& x) { return conv2d(x[0], x[1], {.stride = 2, .padding = 1, .bias = x[2]}); }},
      {"add_wide", [](const Tensors& x) { return half(x[0]) + x[1]; }},
      {"add_half", [](const Tensors& x) { return half(x[0]) + half(x[1]); }},
      {"mul_wide", [](const Tensors& x) { return half(x[0]) * x[1]; }},
      {"concat_wide",
       [](const Tensors& x) {
         return concat({half(x[0]), x[1]}, 0);
       }},
      {"concat_half",
       [](const Tensors& x) {
         return concat({half(x[0]), half(x[1])}, 0);
       }},
      {"stack_wide",
       [](const Tensors& x) {
         return stack({half(x[0]), x[1]}, 0);
       }},
      {"where", [](const Tensors& x) { return where(greater(x[1], 0.0), half(x[0]), x[1]); }},
      {"relu", of_half(relu)},
      {"tanh", of_half(tanh)},
      {"sigmoid", of_half(sigmoid)},
      {"mean", [](const Tensors& x) { return mean(half(x[0]), {.axes = {1}}); }},
      {"mse", [](const Tensors& x) { return mean(square(half(x[0]) - x[1])); }},
      {"smooth_l1", [](const Tensors& x) { return smooth_l1(half(x[0]), x[1]); }},
      {"cross_entropy", [](const Tensors& x) { return cross_entropy(half(x[0]), x[1]); }},
      {"softmax", [](const Tensors& x) { return softmax(half(x[0]), 1); }},
      {"log_softmax", [](const Tensors& x) { return log_softmax(half(x[0]), 1); }},
      {"sum", [](const Tensors& x) { return sum(half(x[0]), {.axes = {1}}); }},
      {"cumsum", [](const Tensors& x) { return cumsum(half(x[0]), 1); }},
      {"prod", [](const Tensors& x) { return prod(half(x[0]), {.axes = {1}}); }},
      {"norm", [](const Tensors& x) { return norm(half(x[0]), {.axes = {1}}); }},
      {"exp", of_half(exp)},
      {"expm1", of_half(expm1)},
      {"softplus", of_half(softplus)},
      {"log", of_half(log)},
      {"log1p", of_half(log1p)},
      {"reciprocal", of_half(reciprocal)},
      {"rsqrt", of_half(rsqrt)},
      {"pow", [](const Tensors& x) { return pow(half(x[0]), 3.0); }},
      {"divide_into", [](const Tensors& x) { return 2 / half(x[0]); }},
      {"pow_base", [](const Tensors& x) { return pow(full({}, 1.5, {.dtype = DType::bf16}), half(x[0])); }},
  };
}

// Of the largest element: two roundings to 8 digits. Where the processor has no bfloat16, PyTorch rounds sums of
// products twice, and gradients are rounded twice by both.
constexpr double two_roundings = 2.0 / 256;

}  // namespace

TEST_CASE("golden: dtypes, values and gradients under autocast") {
  const auto file = read_npz(source_path("tests/golden/autocast.npz"));
  std::set<std::string> expected, found;
  for (const auto& [name, array] : file) expected.insert(name.substr(0, name.find('/')));
  for (const auto& [name, function] : rows()) {
    CAPTURE(name);
    found.insert(name);
    const auto get = [&, &row = name](const std::string& what) { return file.at(row + "/" + what); };
    Tensors x;
    while (file.count(name + "/x" + std::to_string(x.size()))) {
      const NpyArray a = get("x" + std::to_string(x.size()));
      x.push_back(make_tensor(a.values, a.dtype));
      if (is_floating(a.dtype)) x.back().attach_grad();
    }
    Tensor y;
    {
      const autograd::Record record;
      const autograd::Autocast autocast(DType::bf16);
      y = function(x);
    }
    CHECK(y.dtype() == (get("bits").values[0] == 16 ? DType::bf16 : DType::f32));
    CHECK(gradient_difference(to_array(y), get("y").values, two_roundings).empty());
    y.backward({.head_grads = {make_tensor(get("dy").values, y.dtype())}});
    for (size_t i = 0; i < x.size(); ++i) {
      if (!is_floating(x[i].dtype())) continue;
      CHECK(x[i].grad().dtype() == DType::f32);
      CHECK(gradient_difference(to_array(x[i].grad()), get("dx" + std::to_string(i)).values, two_roundings).empty());
    }
  }
  CHECK(found == expected);
}
