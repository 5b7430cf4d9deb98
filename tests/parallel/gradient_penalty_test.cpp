// A gradient penalty through DataParallelModel and DataParallelCriterion: first and second order over several devices.
#include <doctest/doctest.h>

#include "tests/parallel/devices.h"
#include "weft/autograd/ops/matmul.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/nn/nn.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

nn::Parameter f64(const Shape& shape) { return nn::Parameter(randn(shape, {.dtype = DType::f64})); }

// A critic [N, 3] -> [N, 1] whose batch norm couples all samples.
struct Critic : nn::Module {
  nn::Parameter first = f64({3, 4}), second = f64({4, 1});
  nn::BatchNorm2d norm{4, {.sync = true}};
  WEFT_MEMBERS(first, norm, second)
  Critic() {
    norm.weight = f64({4});
    norm.bias = f64({4});
    norm.running_mean = nn::Buffer(zeros({4}, {.dtype = DType::f64}));
    norm.running_var = nn::Buffer(ones({4}, {.dtype = DType::f64}));
  }
  Tensor forward(const Tensor& x) const {
    return matmul(tanh(norm(matmul(x, first.on(x.device())))), second.on(x.device()));
  }
};

struct Found {
  double loss = 0, penalty = 0;
  std::vector<std::vector<double>> gradients;
};

// mean((y - t)^2) + 10 sum((dloss/dx)^2): the gradient of a gradient, to all parameters.
Found penalized(const std::vector<Device>& devices, const DataParallelOptions& options) {
  seed(21);
  Critic net;
  const DataParallelModel model(net, devices, wrapped(options));
  const DataParallelCriterion criterion(nn::MSELoss(), devices, wrapped(options));
  Tensor x = randn({7, 3}, {.dtype = DType::f64}).attach_grad();
  const Tensor t = randn({7, 1}, {.dtype = DType::f64});
  Found found;
  PerDevice<Tensor> losses;
  Tensor penalty;
  {
    const autograd::Record record;
    losses = criterion(model(x), t);
    const Tensor dx = autograd::grad(Tensors(losses.begin(), losses.end()), {x}, {.create_graph = true})[0];
    penalty = ((dx * dx).sum() * 10.0).to(losses.device(0));
  }
  Tensors all(losses.begin(), losses.end());
  all.push_back(penalty);
  parallel_backward(all);
  Trainer(net.parameters(), nn::optim::SGD({.lr = 1})).allreduce_grads();
  found.loss = total(losses);
  found.penalty = penalty.item<double>();
  for (const nn::Parameter& p : net.parameters()) found.gradients.push_back(p.grad_at(0).to_vector<double>());
  found.gradients.push_back(x.grad().to_vector<double>());
  return found;
}

}  // namespace

TEST_SUITE("parallel/gradient penalty") {
  TEST_CASE("the same loss, penalty and gradients on any number of devices") {
    const Found plain = penalized({}, {});
    CHECK(plain.penalty > 0.01);
    for (const DeviceType type : kinds())
      for (const int n : {1, 2, 3, 4})
        for (const bool shares : {false, true}) {
          if (shares && n == 3) continue;
          CAPTURE(to_string(Device(type, 0)));
          CAPTURE(n);
          CAPTURE(shares);
          const Found found = penalized(devices_of(type, n), {.shares = shares ? 4 : 0});
          CHECK(found.loss == doctest::Approx(plain.loss).epsilon(1e-10));
          CHECK(found.penalty == doctest::Approx(plain.penalty).epsilon(1e-10));
          for (size_t k = 0; k < plain.gradients.size(); ++k)
            for (size_t i = 0; i < plain.gradients[k].size(); ++i)
              CHECK(found.gradients[k][i] == doctest::Approx(plain.gradients[k][i]).epsilon(1e-8));
        }
  }
}
