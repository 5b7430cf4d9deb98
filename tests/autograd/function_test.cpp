// autograd::Function: a user's own operation.
#include <doctest/doctest.h>

#include "tests/support/op_table.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;
using autograd::Context;
using autograd::Record;

namespace {

using Doubles = std::vector<double>;

struct Cube : autograd::Function {
  Tensors forward(Context& context, const Tensors& x) override {
    context.save(x[0]);
    return {x[0] * x[0] * x[0]};
  }
  Tensors backward(Context& context, const Tensors& dy) override {
    return {context.saved(0) * context.saved(0) * dy[0] * tensor({3.0})};
  }
  const char* name() const override { return "cube"; }
};

// Sum and product of two tensors: two outputs, state in `data`, inputs that may want no gradient.
struct SumAndProduct : autograd::Function {
  Tensors forward(Context& context, const Tensors& x) override {
    context.save(x[0]);
    context.save(x[1]);
    context.data = std::string("kept");
    return {x[0] + x[1], x[0] * x[1]};
  }
  Tensors backward(Context& context, const Tensors& dy) override {
    CHECK(std::any_cast<std::string>(context.data) == "kept");
    wanted = {context.wants(0), context.wants(1)};
    const Tensor &a = context.saved(0), &b = context.saved(1);
    return {dy[0] + dy[1] * b, context.wants(1) ? dy[0] + dy[1] * a : Tensor()};
  }
  std::vector<bool> wanted;
};

// Returns from backward whatever the test says.
struct Returning : autograd::Function {
  explicit Returning(Tensors g) : gradients(std::move(g)) {}
  Tensors forward(Context&, const Tensors& x) override { return {x[0] + x[1]}; }
  Tensors backward(Context&, const Tensors&) override { return gradients; }
  const char* name() const override { return "returning"; }
  Tensors gradients;
};

}  // namespace

TEST_CASE("function: value, gradient, second gradient") {
  const Tensor x = tensor({1.0, 2.0, -3.0}).attach_grad();
  Tensor y;
  {
    const Record record;
    y = autograd::apply<Cube>(x);
  }
  CHECK(y.to_vector<double>() == Doubles{1, 8, -27});
  y.backward();
  CHECK(x.grad().to_vector<double>() == Doubles{3, 12, 27});
  const auto f = [](const Tensors& v) { return autograd::apply<Cube>(v[0]); };
  CHECK(autograd::gradcheck(f, {tensor({0.5, -1.5})}));
  CHECK(autograd::gradgradcheck(f, {tensor({0.5, -1.5})}));
}

TEST_CASE("function: one object, used any number of times") {
  const auto cube = std::make_shared<Cube>();
  const Tensor x = tensor({2.0}).attach_grad(), z = tensor({5.0}).attach_grad(GradReq::add);
  const Record record;
  const Tensor y = autograd::apply(cube, {x})[0] + autograd::apply(cube, {z})[0];
  y.backward();
  CHECK(x.grad().item<double>() == 12);
  CHECK(z.grad().item<double>() == 75);
  autograd::apply(cube, {z})[0].backward();
  CHECK(z.grad().item<double>() == 150);
}

TEST_CASE("function: forward does not record, and without tracked inputs nothing is") {
  const Tensor x = tensor({2.0});
  const Record record;
  CHECK(!autograd::apply<Cube>(x).requires_grad());
  struct Looks : Cube {
    Tensors forward(Context& context, const Tensors& v) override {
      recording = autograd::is_recording();
      return Cube::forward(context, v);
    }
    bool recording = true;
  };
  const auto looks = std::make_shared<Looks>();
  autograd::apply(looks, {tensor({1.0}).attach_grad()});
  CHECK(!looks->recording);
}

TEST_CASE("function: several outputs; those without a gradient count as zero") {
  const Tensor a = tensor({2.0}).attach_grad(), b = tensor({7.0}).attach_grad();
  const auto function = std::make_shared<SumAndProduct>();
  const Record record;
  {
    const Tensors y = autograd::apply(function, {a, b});
    autograd::backward({y[0], y[1]});
    CHECK(a.grad().item<double>() == 1 + 7);
    CHECK(b.grad().item<double>() == 1 + 2);
  }
  {
    const Tensors y = autograd::apply(function, {a, b});
    y[1].backward();
    CHECK(a.grad().item<double>() == 7);
    CHECK(b.grad().item<double>() == 2);
  }
  {
    const Tensors y = autograd::apply(function, {a, tensor({7.0})});
    y[0].backward();
    CHECK(function->wanted == std::vector<bool>{true, false});
    CHECK(a.grad().item<double>() == 1);
  }
  const auto both = [](const Tensors& v) {
    const Tensors y = autograd::apply(std::make_shared<SumAndProduct>(), v);
    return y[0] * y[1];
  };
  CHECK(autograd::gradcheck(both, {tensor({0.5, 2.0}), tensor({-1.0, 3.0})}));
  CHECK(autograd::gradgradcheck(both, {tensor({0.5, 2.0}), tensor({-1.0, 3.0})}));
}

TEST_CASE("function: an undefined gradient is zero") {
  const Tensor a = tensor({2.0}).attach_grad(), b = tensor({7.0}).attach_grad();
  const Record record;
  const Tensor y = autograd::apply(std::make_shared<Returning>(Tensors{Tensor(), tensor({4.0})}), {a, b})[0] + a;
  y.backward();
  CHECK(a.grad().item<double>() == 1);
  CHECK(b.grad().item<double>() == 4);
}

TEST_CASE("function: wrong count, shape, dtype, device") {
  const Tensor a = tensor({2.0, 1.0}).attach_grad(), b = tensor({7.0, 1.0}).attach_grad();
  auto run = [&](Tensors gradients) {
    const Record record;
    autograd::apply(std::make_shared<Returning>(std::move(gradients)), {a, b})[0].backward();
  };
  const Tensor good = tensor({1.0, 1.0});
  CHECK(throws<AutogradError>("backward of returning: returned 1 gradients for 2 inputs", [&] { run({good}); }) == "");
  CHECK(throws<AutogradError>("backward of returning: returned 3 gradients for 2 inputs", [&] {
          run({good, good, good});
        }) == "");
  CHECK(throws<AutogradError>(
            "backward of returning: gradient 1 is float64[1, 2] on cpu:0, but input 1 is float64[2] on cpu:0", [&] {
              run({good, tensor({{1.0, 1.0}})});
            }) == "");
  CHECK(throws<AutogradError>(
            "backward of returning: gradient 0 is float32[2] on cpu:0, but input 0 is float64[2] on cpu:0", [&] {
              run({tensor({1.f, 1.f}), good});
            }) == "");
  CHECK(throws<AutogradError>(
            "backward of returning: gradient 0 is float64[2] on cpu:1, but input 0 is float64[2] on cpu:0", [&] {
              run({good.to("cpu:1"), good});
            }) == "");
  run({good, good});
  CHECK(a.grad().to_vector<double>() == Doubles{1, 1});
}

TEST_CASE("function: a saved tensor changed in place") {
  Tensor x = tensor({2.0}).attach_grad();
  Tensor y;
  {
    const Record record;
    y = autograd::apply<Cube>(x);
  }
  x.fill_(3);
  CHECK(throws<AutogradError>(
            "backward of cube: its saved input ([1], cpu:0) was changed in place by 'fill_' after the forward "
            "pass (version 1, saved 0); use a copy",
            [&] { y.backward(); }) == "");
}

TEST_CASE("function: forward may return its input") {
  struct Identity : autograd::Function {
    Tensors forward(Context&, const Tensors& x) override { return {x[0]}; }
    Tensors backward(Context&, const Tensors& dy) override { return {dy[0] + dy[0]}; }
  };
  const Tensor x = tensor({2.0}).attach_grad();
  const Record record;
  const Tensor y = autograd::apply<Identity>(x);
  CHECK(y.requires_grad());
  y.backward();
  CHECK(x.grad().item<double>() == 2);
  CHECK(autograd::leaf_of(x) != nullptr);
}

TEST_CASE("function: inputs on several devices") {
  struct Across : autograd::Function {
    Tensors forward(Context&, const Tensors& x) override { return {x[0] + x[1].to(x[0].device())}; }
    Tensors backward(Context&, const Tensors& dy) override { return {dy[0], dy[0].to("cpu:1")}; }
  };
  const Tensor a = tensor({2.0}).attach_grad(), b = tensor({7.0}, Device("cpu:1")).attach_grad();
  const Record record;
  autograd::apply<Across>(a, b).backward();
  CHECK(b.grad().device() == Device("cpu:1"));
  CHECK(b.grad().item<double>() == 1);
}
