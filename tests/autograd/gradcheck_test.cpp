// gradcheck and gradgradcheck: they accept right gradients, and find wrong ones.
#include <doctest/doctest.h>

#include "tests/support/op_table.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;
using autograd::edge;
using autograd::gradcheck;
using autograd::gradgradcheck;
using autograd::tracked;

namespace {

// y = x^2 with the gradient `factor * x * dy`: right for 2.
Tensor square_with(const Tensor& x, double factor, double skew = 0) {
  const Tensor y = square(x.detach());
  if (!tracked(x)) return y;
  return autograd::record("square", y, edge(x, [x, factor, skew](const Tensor& dy) {
                            const Tensor f = tensor({factor}), s = tensor({skew});
                            return x * dy * f + s;
                          }));
}

// y = x^2 with the right gradient, of which the tape knows only half.
Tensor square_half_known(const Tensor& x) {
  const Tensor y = square(x.detach());
  if (!tracked(x)) return y;
  return autograd::record("square", y, edge(x, [x](const Tensor& dy) { return x * dy + x.detach() * dy; }));
}

const Tensors inputs() { return {tensor({0.5, -1.25, 2.0})}; }

}  // namespace

TEST_CASE("gradcheck: right gradients") {
  const auto f = [](const Tensors& v) { return tanh(v[0] * v[1]); };
  const Tensors x{tensor({{0.5, -1.0}}), tensor({{2.0}, {0.25}})};
  CHECK(gradcheck(f, x));
  CHECK(gradgradcheck(f, x));
  CHECK(gradcheck([](const Tensors& v) { return square_with(v[0], 2); }, inputs()));
  CHECK(gradgradcheck([](const Tensors& v) { return square_with(v[0], 2); }, inputs()));
}

TEST_CASE("gradcheck: wrong gradients are found and described") {
  for (const double factor : {2.01, 1.99, -2.0, 0.0}) {
    const auto result = gradcheck([&](const Tensors& v) { return square_with(v[0], factor); }, inputs());
    CHECK(!result);
    CHECK(result.text.starts_with("gradcheck: input 0, element 0: gradient "));
  }
  CHECK(!gradcheck([](const Tensors& v) { return square_with(v[0], 2, 0.01); }, inputs()));
  // Wrong in the second of two inputs only.
  const auto result =
      gradcheck([](const Tensors& v) { return v[0] * square_with(v[1], 3); }, {inputs()[0], inputs()[0]});
  CHECK(!result);
  CHECK(result.text.starts_with("gradcheck: input 1, element 0: "));
  // An output that the tape lost.
  CHECK(!gradcheck([](const Tensors& v) { return square(v[0]).detach(); }, inputs()));
  CHECK(!gradcheck([](const Tensors& v) { return v[0] + square(v[0]).detach(); }, inputs()));
}

TEST_CASE("gradcheck: a NaN is not a gradient") {
  CHECK(!gradcheck([](const Tensors& v) { return log(v[0]); }, {tensor({-1.0})}));
}

TEST_CASE("gradgradcheck: a second gradient that is missing or wrong is found") {
  CHECK(gradcheck([](const Tensors& v) { return square_half_known(v[0]); }, inputs()));
  const auto result = gradgradcheck([](const Tensors& v) { return square_half_known(v[0]); }, inputs());
  CHECK(!result);
  CHECK(result.text.starts_with("second order: "));
}

TEST_CASE("gradcheck: integer inputs pass through, other dtypes are refused") {
  const auto f = [](const Tensors& v) { return v[0] * v[1].to(DType::f64); };
  CHECK(gradcheck(f, {tensor({1.5, 2.0}), tensor({2, 3})}));
  CHECK(throws<AutogradError>("gradcheck: needs float64 inputs, got float32", [&] {
          gradcheck(f, {ones({2}), ones({2})});
        }) == "");
}

TEST_CASE("gradcheck: inputs and the thread's flags are as before") {
  const Tensor x = tensor({0.5, 2.0});
  CHECK(gradcheck([](const Tensors& v) { return square(v[0]); }, {x}));
  CHECK(!x.requires_grad());
  CHECK(x.storage().version() == 0);
  CHECK(!autograd::is_recording());
}
