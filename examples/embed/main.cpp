// Finds the line y = 2 x - 1 from eight points.
#include <weft/weft.h>

#include <cstdio>

using namespace weft;

int main() {
  const Tensor x = arange(0, 8).reshape({8, 1}) * 0.25;
  const Tensor y = 2 * x - 1;
  Tensor w = zeros({1, 1}), b = zeros({1});
  w.attach_grad(), b.attach_grad();
  for (int step = 0; step < 200; ++step) {
    Tensor loss;
    {
      autograd::Record record;
      loss = mean(square(matmul(x, w) + b - y));
    }
    loss.backward();
    w -= 0.3 * w.grad(), b -= 0.3 * b.grad();
  }
  const float slope = w.item<float>(), offset = b.item<float>();
  std::printf("weft %s: y = %.3f x %+.3f\n", version(), slope, offset);
  return slope > 1.99f && slope < 2.01f && offset > -1.01f && offset < -0.99f ? 0 : 1;
}
