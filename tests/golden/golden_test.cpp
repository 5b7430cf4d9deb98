// Values, gradients and some second gradients against PyTorch's, from the .npz files here; make_golden.py says what is
// in them. Unlike the op table's references these were not written by the authors of the operations.
#include <doctest/doctest.h>

#include <set>

#include "tests/support/hooks.h"
#include "tests/support/npz.h"
#include "tests/support/paths.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;

namespace {

// One case of a file, in one dtype on one device.
class Golden {
 public:
  Golden(const std::map<std::string, NpyArray>& file, std::string name, DType dtype, Device device)
      : file_(file), name_(std::move(name)), dtype_(dtype), device_(device) {}

  bool has(const std::string& what) const { return file_.count(name_ + "/" + what) > 0; }
  const Array& array(const std::string& what) const { return file_.at(name_ + "/" + what).values; }
  Tensor tensor(const std::string& what) const {
    const NpyArray& a = file_.at(name_ + "/" + what);
    return make_tensor(a.values, a.dtype == DType::f32 ? dtype_ : a.dtype, device_);
  }
  Tensors tensors(const std::string& letter, size_t from = 0) const {
    Tensors list;
    while (has(letter + std::to_string(from + list.size())))
      list.push_back(tensor(letter + std::to_string(from + list.size())));
    return list;
  }
  /// `widening`: of the tolerance, for gradients, which are longer sums than values.
  void compare(const std::string& what, const Tensor& got, double widening = 1) const {
    Tolerance t = dtype_ == DType::f64 ? Tolerance{2e-7, 1e-7} : tolerance_of(dtype_);  // stored as float32
    t.relative *= widening, t.absolute *= widening;
    const std::string problem = got.defined() ? difference(to_array(got), array(what), t) : "undefined";
    CHECK_MESSAGE(problem.empty(), name_, "/", what, ", ", to_string(dtype_), " on ", to_string(device_), ": ",
                  problem);
  }

 private:
  const std::map<std::string, NpyArray>& file_;
  std::string name_;
  DType dtype_;
  Device device_;
};

using Function = std::function<Tensor(const Tensors& x, const Golden& golden)>;
using Functions = std::map<std::string, Function>;

Tensors leaves_of(Tensors& x) {
  Tensors leaves;
  for (Tensor& t : x)
    if (is_floating(t.dtype())) leaves.push_back(t.attach_grad());
  return leaves;
}

void run(const Golden& golden, const Function& function) {
  Tensors x = golden.tensors("x");
  const Tensors leaves = leaves_of(x);
  Tensor dy = golden.tensor("dy");
  const bool second = golden.has("u0");
  if (second) dy.attach_grad();
  const autograd::Record record;
  const Tensor y = function(x, golden);
  golden.compare("y", y);
  const Tensors dx = autograd::grad({y}, leaves, {.head_grads = {dy}, .create_graph = second});
  for (size_t i = 0; i < dx.size(); ++i) golden.compare("dx" + std::to_string(i), dx[i], 4);
  if (!second) return;
  Tensors heads, us, variables = leaves;
  variables.push_back(dy);
  const Tensors u = golden.tensors("u");
  for (size_t i = 0; i < dx.size(); ++i)
    if (dx[i].requires_grad()) heads.push_back(dx[i]), us.push_back(u[i]);
  Tensors dd = autograd::grad(heads, variables, {.head_grads = us, .allow_unused = true});
  for (size_t i = 0; i < dd.size(); ++i)
    golden.compare("dd" + std::to_string(i), dd[i].defined() ? dd[i] : zeros_like(variables[i]), 8);
}

// Every case of the file has a function and every function a case.
void check_file(const std::string& op, const Functions& functions) {
  const auto file = read_npz(source_path("tests/golden/" + op + ".npz"));
  std::set<std::string> names;
  for (const auto& [name, array] : file) names.insert(name.substr(0, name.find('/')));
  for (const std::string& name : names)
    CHECK_MESSAGE(functions.count(name) == 1, op, ".npz: no function for case ", name);
  for (const auto& [name, function] : functions) {
    REQUIRE_MESSAGE(names.count(name) == 1, op, ".npz: no case ", name);
    for (const Device device : devices_to_test())
      for (const DType dtype : {DType::f64, DType::f32}) {
        const DeviceGuard guard(device);
        run(Golden(file, name, dtype, device), function);
      }
  }
}

template <class F>
Function unary_case(F f) {
  return [f](const Tensors& x, const Golden&) { return f(x[0]); };
}
template <class F>
Function binary_case(F f) {
  return [f](const Tensors& x, const Golden&) { return f(x[0], x[1]); };
}

}  // namespace

TEST_CASE("golden: elementwise") {
  check_file("unary", {{"neg", unary_case([](auto& x) { return -x; })},
                       {"abs", unary_case([](auto& x) { return abs(x); })},
                       {"square", unary_case([](auto& x) { return square(x); })},
                       {"reciprocal", unary_case([](auto& x) { return reciprocal(x); })},
                       {"sqrt", unary_case([](auto& x) { return sqrt(x); })},
                       {"rsqrt", unary_case([](auto& x) { return rsqrt(x); })},
                       {"exp", unary_case([](auto& x) { return exp(x); })},
                       {"log", unary_case([](auto& x) { return log(x); })},
                       {"tanh", unary_case([](auto& x) { return tanh(x); })},
                       {"sigmoid", unary_case([](auto& x) { return sigmoid(x); })},
                       {"relu", unary_case([](auto& x) { return relu(x); })},
                       {"tanh_wide", unary_case([](auto& x) { return tanh(x); })},
                       {"sigmoid_wide", unary_case([](auto& x) { return sigmoid(x); })},
                       {"exp_wide", unary_case([](auto& x) { return exp(x); })}});
  check_file("binary", {{"add", binary_case([](auto& a, auto& b) { return a + b; })},
                        {"sub", binary_case([](auto& a, auto& b) { return a - b; })},
                        {"mul", binary_case([](auto& a, auto& b) { return a * b; })},
                        {"div", binary_case([](auto& a, auto& b) { return a / b; })},
                        {"maximum", binary_case([](auto& a, auto& b) { return maximum(a, b); })},
                        {"minimum", binary_case([](auto& a, auto& b) { return minimum(a, b); })}});
}

TEST_CASE("golden: reductions") {
  auto indexed = [](int64_t axis, bool keep) {
    return [=](const Tensors& x, const Golden& golden) {
      golden.compare("index", argmax(x[0], axis, keep), 0);
      return max(x[0], {.axes = {axis}, .keep = keep});
    };
  };
  check_file("reduce", {{"sum_all", unary_case([](auto& x) { return sum(x); })},
                        {"sum_axes", unary_case([](auto& x) {
                           return sum(x, {.axes = {0, 2}});
                         })},
                        {"sum_keep", unary_case([](auto& x) { return sum(x, {.axes = {1}, .keep = true}); })},
                        {"mean_all", unary_case([](auto& x) { return mean(x); })},
                        {"mean_axes", unary_case([](auto& x) {
                           return mean(x, {.axes = {-1, 1}});
                         })},
                        {"max_axis", indexed(1, false)},
                        {"max_last", indexed(2, true)},
                        {"max_all", [](const Tensors& x, const Golden& golden) {
                           golden.compare("index", argmax(x[0].flatten(), 0), 0);
                           return max(x[0]);
                         }}});
}

TEST_CASE("golden: matrix products") {
  Functions functions;
  for (const char* name :
       {"plain", "batched", "broadcast", "matrix_vector", "vector_matrix", "vectors", "batch_times_matrix", "wide"})
    functions[name] = binary_case([](auto& a, auto& b) { return matmul(a, b); });
  check_file("matmul", functions);
}

TEST_CASE("golden: softmax") {
  check_file("softmax", {{"last", unary_case([](auto& x) { return softmax(x); })},
                         {"middle", unary_case([](auto& x) { return softmax(x, 1); })},
                         {"large", unary_case([](auto& x) { return softmax(x, -1); })}});
}

TEST_CASE("golden: convolution") {
  auto conv = [](Conv2dOptions options) {
    return [options](const Tensors& x, const Golden&) {
      Conv2dOptions o = options;
      if (x.size() > 2) o.bias = x[2];
      return conv2d(x[0], x[1], o);
    };
  };
  check_file("conv2d", {{"plain", conv({})},
                        {"one_by_one", conv({})},
                        {"padded", conv({.padding = 1})},
                        {"stride", conv({.stride = 2, .padding = 1})},
                        {"seven", conv({.stride = 2, .padding = 3})},
                        {"dilation", conv({.padding = 2, .dilation = 2})},
                        {"groups", conv({.padding = 1, .groups = 2})},
                        {"depthwise", conv({.stride = 2, .padding = 1, .groups = 4})},
                        {"uneven", conv({.stride = {2, 1}, .padding = {0, 1}, .dilation = {1, 3}})},
                        {"asymmetric", conv({.stride = 2, .padding = {0, 1, 1, 2}})}});
}

TEST_CASE("golden: cross entropy") {
  auto loss = [](LossReduction reduction) {
    return [reduction](const Tensors& x, const Golden& golden) {
      return cross_entropy(
          x[0], x[1], {.weights = golden.has("weights") ? golden.tensor("weights") : Tensor(), .reduction = reduction});
    };
  };
  const Function plain = loss(LossReduction::mean);
  check_file("cross_entropy", {{"plain", plain},
                               {"ignore", plain},
                               {"weights_mean", plain},
                               {"weights_sum", loss(LossReduction::sum)},
                               {"weights_none", loss(LossReduction::none)},
                               {"confident", plain},
                               {"all_but_one_ignored", plain}});
}

TEST_CASE("golden: batch norm") {
  auto norm = [](BatchNormOptions options) {
    return [options](const Tensors& x, const Golden& golden) {
      const Tensor mean = golden.tensor("mean"), var = golden.tensor("var");
      const Tensor y = batch_norm(x[0], x[1], x[2], mean, var, options);
      golden.compare("new_mean", mean);
      golden.compare("new_var", var);
      return y;
    };
  };
  check_file("batch_norm", {{"train", norm({.training = true})},
                            {"eval", norm({})},
                            {"train_relu", norm({.training = true, .relu = true})},
                            {"vectors", norm({.eps = 1e-3, .momentum = 0.3, .training = true})}});
}

TEST_CASE("golden: max pooling") {
  auto pool = [](MaxPool2dOptions options) {
    return unary_case([options](const Tensor& x) { return max_pool2d(x, options); });
  };
  check_file("max_pool2d", {{"two", pool({.kernel = 2})},
                            {"stem", pool({.kernel = 3, .stride = 2, .padding = 1})},
                            {"ceil", pool({.kernel = 3, .stride = 2, .ceil_mode = true})},
                            {"dilated", pool({.kernel = 2, .stride = 1, .dilation = 3})},
                            {"uneven", pool({.kernel = {2, 3}, .stride = {1, 2}, .padding = {1, 0}})}});
}

TEST_CASE("golden: bilinear resize") {
  Functions functions;
  const std::map<std::string, Pair> sizes{
      {"up", {9, 11}}, {"down", {3, 2}}, {"same", {5, 6}}, {"one", {1, 1}}, {"mixed", {10, 3}}};
  for (const auto& [name, size] : sizes)
    for (const bool corners : {false, true})
      functions[name + (corners ? "_corners" : "")] =
          unary_case([size = size, corners](const Tensor& x) { return resize(x, size, {.align_corners = corners}); });
  functions["from_one"] = unary_case([](const Tensor& x) { return resize(x, {3, 4}, {.align_corners = true}); });
  check_file("resize", functions);
}

TEST_CASE("golden: views") {
  check_file("view", {{"concat", binary_case([](auto& a, auto& b) {
                         return concat({a, b}, 1);
                       })},
                      {"slice", unary_case([](auto& x) { return x.slice(1, 1, 3).slice(2, 0, 4, 2); })},
                      {"permute_reshape", unary_case([](auto& x) {
                         return x.permute({2, 0, 1}).reshape({4, 6});
                       })},
                      {"expand", unary_case([](auto& x) {
                         return x.expand({2, 3, 4});
                       })},
                      {"where", [](const Tensors& x, const Golden&) { return where(x[0], x[1], x[2]); }}});
}

TEST_CASE("golden: the comparison finds a wrong case, a file that ends early, a file that is none") {
  const auto file = read_npz(source_path("tests/golden/softmax.npz"));
  const Golden golden(file, "last", DType::f64, {});
  const Array wrong = map(golden.array("y"), [](double y) { return y * 1.000001; });
  CHECK(!difference(wrong, golden.array("y"), {2e-7, 1e-7}).empty());
  CHECK_THROWS_AS(read_npz(source_path("tests/golden/none.npz")), Error);
  CHECK_THROWS_AS(read_npz(source_path("tests/golden/make_golden.py")), Error);
  CHECK_THROWS_AS(parse_npy(std::string_view("\x93NUMPY\x01\x00\x76\x00{'descr'", 18), "short"), Error);
}
