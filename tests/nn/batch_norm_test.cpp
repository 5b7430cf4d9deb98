// The batch norm layer with a residual: equal to its parts, on one device and over several.
#include "weft/nn/batch_norm.h"

#include <doctest/doctest.h>

#include "tests/parallel/devices.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/nn/sync_batch_norm.h"
#include "weft/parallel/data_parallel.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;

namespace {

TensorOptions wide() { return {.dtype = DType::f64}; }

// bn(x) + x^2 and perhaps ReLU, in one pass or from its parts.
struct Block : nn::Module {
  nn::BatchNorm2d norm;
  bool fused, with_relu;
  WEFT_MEMBERS(norm)
  Block(bool one_pass, bool relu_behind, bool sync)
      : norm(2, {.relu = one_pass && relu_behind, .sync = sync}), fused(one_pass), with_relu(relu_behind) {
    norm.weight = nn::Parameter(tensor({1.5, -0.5}));
    norm.bias = nn::Parameter(tensor({0.25, -1.0}));
    norm.running_mean = nn::Buffer(full({2}, 0.125, wide()));
    norm.running_var = nn::Buffer(full({2}, 1.5, wide()));
  }
  Tensor forward(const Tensor& x) const {
    if (fused) return norm.forward(x, square(x));
    const Tensor y = norm(x) + square(x);
    return with_relu ? relu(y) : y;
  }
};

// Value, first and second gradient by x, gradients of weight and bias, running statistics.
using Results = std::vector<std::vector<double>>;

Results run(Block& block, const std::vector<Device>& devices) {
  seed(8);
  const Tensor leaf = randn({5, 2, 3, 2}, wide()).attach_grad(), dy = randn({5, 2, 3, 2}, wide());
  const parallel::DataParallelModel model(block, devices, test::wrapped());
  Tensor y, dx, penalty;
  {
    const autograd::Record record;
    y = parallel::gather(model(leaf), "cpu:0");
    dx = autograd::grad({y}, {leaf}, {.head_grads = {dy}, .create_graph = true})[0];
    penalty = sum(dx * dx * dx);
  }
  const Tensor second = autograd::grad({penalty}, {leaf}, {})[0];
  Results results{y.to_vector<double>(), dx.to_vector<double>(), second.to_vector<double>(),
                  block.norm.running_mean.at(0).to_vector<double>(), block.norm.running_var.at(0).to_vector<double>()};
  Tensor loss;
  {
    const autograd::Record record;
    loss = sum(parallel::gather(model(leaf), "cpu:0") * dy);
  }
  loss.backward();
  for (const nn::Parameter& p : {block.norm.weight, block.norm.bias}) {
    Tensor total = zeros({2}, wide());
    for (int place = 0; place < p.places(); ++place) total = total + p.grad_at(place).to("cpu:0");
    results.push_back(total.to_vector<double>());
  }
  return results;
}

void check_equal(const Results& found, const Results& expected) {
  REQUIRE(found.size() == expected.size());
  for (size_t k = 0; k < found.size(); ++k) {
    CAPTURE(k);
    REQUIRE(found[k].size() == expected[k].size());
    for (size_t i = 0; i < found[k].size(); ++i) CHECK(found[k][i] == doctest::Approx(expected[k][i]).epsilon(1e-9));
  }
}

}  // namespace

TEST_CASE("batch norm with a residual: one pass is as its parts, in training and evaluation, on 1, 2 and 3 devices") {
  for (const bool with_relu : {false, true})
    for (const bool training : {true, false}) {
      CAPTURE(with_relu);
      CAPTURE(training);
      Block parts(false, with_relu, false);
      parts.train(training);
      const Results expected = run(parts, {"cpu:0"});
      for (const int n : {1, 2, 3}) {
        CAPTURE(n);
        Block fused(true, with_relu, true);
        fused.train(training);
        check_equal(run(fused, test::devices_here(n)), expected);
      }
    }
}

TEST_CASE("batch norm with a residual: another shape is an error, also where ranks meet") {
  const nn::BatchNorm2d norm(2);
  CHECK_THROWS_AS(norm.forward(ones({2, 2, 3, 3}), ones({2, 2, 3, 1})), ShapeError);
  struct Wrong : nn::Module {
    nn::BatchNorm2d inner{2, {.sync = true}};
    WEFT_MEMBERS(inner)
    Tensor forward(const Tensor& x) const { return inner.forward(x, x.slice(2, 0, 1)); }
  } wrong;
  const parallel::DataParallelModel model(wrong, test::devices_here(2), test::wrapped());
  const autograd::Record record;
  CHECK_THROWS_WITH(model(ones({4, 2, 3, 3})), doctest::Contains("the residual has shape"));
}
