// Fits sin(x) with a small network, by hand: a recorded forward pass, backward(), and a step of gradient descent.
// Then it differentiates the fitted curve itself, twice, and compares with -sin(x).
#include <weft/weft.h>

#include <cmath>
#include <cstdio>

using namespace weft;

namespace {

struct Network {
  Tensor w1 = randn({1, 24}), b1 = randn({24});             // [1, H], [H]
  Tensor w2 = randn({24, 1}, {}, 0, 0.3), b2 = zeros({1});  // [H, 1], [1]

  Tensors parameters() { return {w1, b1, w2, b2}; }
  Tensor operator()(const Tensor& x) const {
    return matmul(tanh(matmul(x, w1) + b1), w2) + b2;  // [N, 1] -> [N, 1]
  }
};

void train(Network& network, const Tensor& x, const Tensor& y, int steps) {
  for (Tensor& parameter : network.parameters()) Tensor(parameter).attach_grad();
  for (int step = 0; step <= steps; ++step) {
    Tensor loss;
    {
      autograd::Record record;
      loss = mean(square(network(x) - y));
    }
    loss.backward();
    for (Tensor parameter : network.parameters()) parameter.add_(parameter.grad(), -0.05);
    if (step % (steps / 4) == 0) std::printf("step %5d   loss %.5f\n", step, loss.item<float>());
  }
}

/// The second derivative of the network by its input, at each row of x.
Tensor curvature(const Network& network, Tensor x) {
  x.attach_grad();
  Tensor y;
  {
    autograd::Record record;
    y = network(x).sum();
  }
  const Tensor dy = autograd::grad({y}, {x}, {.create_graph = true})[0];
  return autograd::grad({dy}, {x}, {.head_grads = {ones_like(dy)}})[0];  // [N, 1]
}

}  // namespace

int main() {
  seed(1);
  const double pi = std::acos(-1.0);
  const Tensor x = uniform({256, 1}, -pi, pi);
  std::vector<float> values = x.to_vector<float>();
  for (float& value : values) value = std::sin(value);
  const Tensor y = tensor(values, {256, 1});

  Network network;
  train(network, x, y, 20000);

  const Tensor points = tensor({{-1.5f}, {-0.5f}, {0.5f}, {1.5f}});
  const std::vector<float> fitted = network(points).to_vector<float>(),
                           bent = curvature(network, points).to_vector<float>();
  std::printf("\n    x    sin(x)   fitted   its second derivative, to be -sin(x)\n");
  for (size_t i = 0; i < fitted.size(); ++i) {
    const double at = -1.5 + static_cast<double>(i);
    std::printf("%5.1f   %7.3f  %7.3f  %7.3f\n", at, std::sin(at), fitted[i], bent[i]);
  }
}
