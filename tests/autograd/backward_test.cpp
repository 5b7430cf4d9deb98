// backward() and grad(): sums, requests, retained and recorded graphs, hooks, errors, and long chains.
#include <doctest/doctest.h>

#include <ctime>

#include "tests/support/op_table.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;
using autograd::Record;

namespace {

using Floats = std::vector<float>;

Floats grad_of(const Tensor& x) { return x.grad().defined() ? x.grad().to_vector<float>() : Floats{}; }

template <class F>
Tensor recorded(F f) {
  const Record record;
  return f();
}

}  // namespace

TEST_CASE("backward: a product, a broadcast, a sum") {
  Tensor x = tensor({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}}).attach_grad(), w = tensor({10.f, 20.f, 30.f}).attach_grad();
  const Tensor loss = recorded([&] { return (x * w).sum(); });
  CHECK(loss.item<float>() == 10 + 40 + 90 + 40 + 100 + 180);
  CHECK(!x.grad().defined());
  loss.backward();
  CHECK(grad_of(x) == Floats{10, 20, 30, 10, 20, 30});
  CHECK(grad_of(w) == Floats{5, 7, 9});
  CHECK(!x.grad().requires_grad());
  x.zero_grad();
  CHECK(!x.grad().defined());
}

TEST_CASE("backward: outside Record nothing is tracked") {
  const Tensor x = ones({2}).attach_grad();
  const Tensor y = x * x;
  CHECK(!y.requires_grad());
  CHECK(throws<AutogradError>(
            "backward: the head of shape [2] does not depend on any tensor with attach_grad(); compute it "
            "under autograd::Record",
            [&] { y.backward(); }) == "");
}

TEST_CASE("backward: a head of any shape, with head gradients") {
  const Tensor x = tensor({1.f, 2.f}).attach_grad();
  recorded([&] { return square(x); }).backward();
  CHECK(grad_of(x) == Floats{2, 4});  // missing head gradients are ones
  recorded([&] { return square(x); }).backward({.head_grads = {tensor({10.f, 100.f})}});
  CHECK(grad_of(x) == Floats{20, 400});
  const Tensor y = recorded([&] { return square(x); });
  CHECK(throws<AutogradError>("backward: head gradient float32[3] on cpu:0 for a head float32[2] on cpu:0",
                              [&] { y.backward({.head_grads = {ones({3})}}); }) == "");
  CHECK(throws<AutogradError>("backward: head gradient float64[2] on cpu:0 for a head float32[2] on cpu:0",
                              [&] { y.backward({.head_grads = {ones({2}, {.dtype = DType::f64})}}); }) == "");
  CHECK(throws<AutogradError>("backward: head gradient float32[2] on cpu:1 for a head float32[2] on cpu:0",
                              [&] { y.backward({.head_grads = {ones({2}, {.device = "cpu:1"})}}); }) == "");
  CHECK(throws<AutogradError>("backward: 2 head gradients for 1 heads", [&] {
          y.backward({.head_grads = {y, y}});
        }) == "");
  CHECK(throws<AutogradError>("backward: no heads given", [] { autograd::backward({}); }) == "");
  CHECK(throws<AutogradError>("backward: a head is undefined", [] { autograd::backward({Tensor()}); }) == "");
  y.backward();  // the refused calls used nothing up
  CHECK(grad_of(x) == Floats{2, 4});
}

TEST_CASE("backward: integer heads and leaves") {
  CHECK(throws<AutogradError>("backward: a head has dtype int32; gradients need a floating dtype", [] {
          tensor({1, 2}).backward();
        }) == "");
  CHECK(throws<AutogradError>("attach_grad: a tensor of dtype int64 has no gradient; convert with .to(DType::f32)",
                              [] { arange(0, 3, 1, {.dtype = DType::i64}).attach_grad(); }) == "");
}

TEST_CASE("backward: diamonds and a tensor used many times") {
  const Tensor x = tensor({3.f}).attach_grad();
  recorded([&] {
    const Tensor a = x * x, b = a + x, c = a * b;  // x^2 (x^2 + x)
    return c + a * x;                              // x^4 + 2 x^3
  }).backward();
  CHECK(grad_of(x) == Floats{4 * 27 + 6 * 9});
  recorded([&] {
    Tensor sum = x;
    for (int i = 0; i < 100; ++i) sum = sum + x * x;
    return sum;
  }).backward();
  CHECK(grad_of(x) == Floats{1 + 100 * 6});
  recorded([&] {
    Tensor y = x;  // exponentially many paths, few nodes
    for (int i = 0; i < 40; ++i) y = (y + y) * tensor({0.5f});
    return y;
  }).backward();
  CHECK(grad_of(x) == Floats{1});
}

TEST_CASE("backward: write, add, null") {
  const Tensor write = tensor({2.f}).attach_grad(), add = tensor({3.f}).attach_grad(GradReq::add),
               null = tensor({5.f}).attach_grad(GradReq::null);
  CHECK(!null.requires_grad());
  for (int i = 1; i <= 3; ++i) {
    recorded([&] { return write * add * null; }).backward();
    CHECK(grad_of(write) == Floats{15});
    CHECK(grad_of(add) == Floats{10.f * static_cast<float>(i)});
    CHECK(!null.grad().defined());
  }
  const Tensor held = add.grad();
  recorded([&] { return add * add; }).backward();
  CHECK(held.to_vector<float>() == Floats{30});  // what somebody holds is not added to
  CHECK(grad_of(add) == Floats{36});
  CHECK(autograd::leaf_of(add)->writes() == 4);
}

TEST_CASE("backward: several heads are one pass; a shared leaf receives their sum") {
  const Tensor x = tensor({2.f}).attach_grad();
  const Record record;
  const Tensor a = x * x, b = a * x, c = x + x;
  autograd::backward({a, b, c, a});
  CHECK(grad_of(x) == Floats{4 + 12 + 2 + 4});
}

TEST_CASE("backward: the leaf itself is a head") {
  const Tensor x = tensor({2.f, 3.f}).attach_grad();
  x.backward({.head_grads = {tensor({7.f, 8.f})}});
  CHECK(grad_of(x) == Floats{7, 8});
  x.backward();  // a leaf is never used up
  CHECK(grad_of(x) == Floats{1, 1});
}

TEST_CASE("backward: twice is an error unless the graph was retained") {
  const Tensor x = tensor({2.f}).attach_grad();
  const Tensor y = recorded([&] { return x * x; });
  y.backward({.retain_graph = true});
  y.backward({.retain_graph = true});
  CHECK(grad_of(x) == Floats{4});
  y.backward();
  const std::string text =
      "backward of mul: the graph of this loss was already used and released; pass retain_graph to the first call";
  CHECK(throws<AutogradError>(text, [&] { y.backward(); }) == "");
  const Tensor z = recorded([&] { return y + x; });  // a new node on a released one
  CHECK(throws<AutogradError>(text, [&] { z.backward(); }) == "");
}

TEST_CASE("backward: a released graph lets go of what it kept") {
  const Tensor x = ones({1000}).attach_grad();
  const int64_t before = memory_stats("cpu").live_storages;
  const Tensor y = recorded([&] { return tanh(tanh(tanh(x))); });
  const int64_t kept = memory_stats("cpu").live_storages - before;
  CHECK(kept >= 3);
  y.backward();
  CHECK(memory_stats("cpu").live_storages - before <= 2);  // y and the gradient
}

TEST_CASE("backward: detach and untracked operands stop it") {
  const Tensor x = tensor({2.f}).attach_grad();
  const Tensor y = recorded([&] { return x * (x * x).detach(); });
  y.backward();
  CHECK(grad_of(x) == Floats{4});
  CHECK(!recorded([&] { return (x * x).detach(); }).requires_grad());
  CHECK(recorded([&] {
          const autograd::Pause pause;
          return x * x;
        }).requires_grad() == false);
}

TEST_CASE("backward: training flag of the pass") {
  const Tensor x = ones({1}).attach_grad();
  for (const bool train : {true, false}) {
    bool seen = !train, recording = true;
    Tensor y = recorded([&] { return x * x; });
    autograd::as_node(y.impl().slot)->add_hook(0, [&](const Tensor&) {
      seen = autograd::is_training(), recording = autograd::is_recording();
      return Tensor();
    });
    y.backward({.train_mode = train});
    CHECK(seen == train);
    CHECK(!recording);
    CHECK(!autograd::is_training());
  }
}

TEST_CASE("backward: hooks see the complete gradient once and may replace it") {
  const Tensor x = tensor({3.f}).attach_grad();
  int calls = 0;
  const Tensor y = recorded([&] {
    const Tensor a = x * x;
    a.register_hook([&](const Tensor& da) {
      ++calls;
      CHECK(da.item<float>() == 5);  // from both uses
      return da * tensor({10.f});
    });
    return a * tensor({2.f}) + a * tensor({3.f});
  });
  y.backward();
  CHECK(calls == 1);
  CHECK(grad_of(x) == Floats{300});
  x.register_hook([](const Tensor& dx) { return dx * tensor({-1.f}); });
  recorded([&] { return x + x; }).backward();
  CHECK(grad_of(x) == Floats{-2});
  CHECK(throws<AutogradError>("register_hook: a tensor of shape [1] on cpu:0 is not tracked; …",
                              [&] { ones({1}).register_hook([](const Tensor&) { return Tensor(); }); }) == "");
}

TEST_CASE("grad: captures what is asked for and stores nothing") {
  const Tensor x = tensor({2.f}).attach_grad(), w = tensor({5.f}).attach_grad(), other = ones({1}).attach_grad();
  const Record record;
  const Tensor a = x * w, y = a * a;
  const Tensors g = autograd::grad({y}, {x, a, w, y}, {.retain_graph = true});
  CHECK(g[0].item<float>() == 100);
  CHECK(g[1].item<float>() == 20);
  CHECK(g[2].item<float>() == 40);
  CHECK(g[3].item<float>() == 1);
  CHECK(!x.grad().defined());
  CHECK(throws<AutogradError>(
            "grad: no head depends on variable 1 of shape [1]; pass allow_unused to get an undefined gradient", [&] {
              autograd::grad({y}, {x, other}, {.retain_graph = true});
            }) == "");
  const Tensors unused = autograd::grad({y}, {other, x, x}, {.allow_unused = true});
  CHECK(!unused[0].defined());
  CHECK(unused[1].item<float>() == 100);
  CHECK(unused[2].item<float>() == 100);
  CHECK(throws<AutogradError>("grad: variable 0 is not tracked; call attach_grad() on it before the forward pass",
                              [&] { autograd::grad({y}, {ones({1})}); }) == "");
}

TEST_CASE("grad: a variable in the middle does not run what lies before it") {
  const Tensor x = ones({1}).attach_grad();
  bool ran = false;
  const Record record;
  const Tensor early = x * x;
  autograd::as_node(early.impl().slot)->add_hook(0, [&](const Tensor&) { return ran = true, Tensor(); });
  const Tensor middle = early * early;
  const Tensor y = middle * middle;
  CHECK(autograd::grad({y}, {middle}, {.retain_graph = true})[0].item<float>() == 2);
  CHECK(!ran);
  CHECK(autograd::grad({y}, {x})[0].item<float>() == 8);
  CHECK(ran);
}

TEST_CASE("grad: recorded, for second and third derivatives") {
  const Tensor x = tensor({3.0}).attach_grad();
  const Record record;
  const Tensor y = x * x * x * x;
  const Tensor d1 = autograd::grad({y}, {x}, {.create_graph = true})[0];
  const Tensor d2 = autograd::grad({d1}, {x}, {.create_graph = true})[0];
  const Tensor d3 = autograd::grad({d2}, {x})[0];
  CHECK(d1.item<double>() == 4 * 27);
  CHECK(d2.item<double>() == 12 * 9);
  CHECK(d3.item<double>() == 24 * 3);
  CHECK(!d3.requires_grad());
  // A penalty on the gradient, stored by backward.
  const Tensor z = x * x * x * x;  // the pass for d3 used up the graph of y, which is a part of d2's
  const Tensor again = autograd::grad({z}, {x}, {.create_graph = true})[0];
  square(again).backward();
  CHECK(x.grad().item<double>() == 2 * 108 * 108);
}

TEST_CASE("backward: create_graph stores tracked gradients; dropping them frees everything") {
  const Tensor x = tensor({3.0}).attach_grad();
  const Tensor y = recorded([&] { return x * x * x; });
  y.backward({.create_graph = true});
  CHECK(x.grad().requires_grad());
  const Tensor second = autograd::grad({x.grad()}, {x})[0];
  CHECK(second.item<double>() == 18);
  x.zero_grad();  // the stored gradient's graph leads back to x: a cycle, until it is dropped
}

// ---- Long chains
// -----------------------------------------------------------------------------------------------------

namespace {

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Forward, backward and destruction of a chain; the seconds it took.
double run_chain(int length, bool backward) {
  const double start = cpu_seconds();
  const Tensor x = tensor({1.f}).attach_grad(), one = tensor({1.f});
  {
    Tensor y = x;
    {
      const Record record;
      for (int i = 0; i < length; ++i) y = y * one;
    }
    if (backward) {
      y.backward();
      CHECK(grad_of(x) == Floats{1});
    }
  }
  return cpu_seconds() - start;
}

}  // namespace

TEST_CASE("backward: a chain of a million nodes, in linear time, without overflow or leak") {
  const int64_t live = memory_stats("cpu").live_storages;
  run_chain(1000, true);
  const double tenth = run_chain(100'000, true);
  const double whole = run_chain(1'000'000, true);
  MESSAGE("100,000 nodes: ", tenth, " s; 1,000,000: ", whole, " s");
  CHECK(whole < 40 * tenth);
  run_chain(1'000'000, false);  // dropped unused: destruction alone
  CHECK(memory_stats("cpu").live_storages == live);
}

TEST_CASE("backward: a million nodes that share one leaf and one sum") {
  const Tensor x = tensor({1.f}).attach_grad();
  const double start = cpu_seconds();
  const Tensor y = recorded([&] {
    Tensor sum = x;
    for (int i = 0; i < 200'000; ++i) sum = sum + x;
    return sum;
  });
  y.backward();
  CHECK(grad_of(x) == Floats{200'001});
  const double seconds = cpu_seconds() - start;
  MESSAGE(seconds, " s");
}

TEST_CASE("grad: a long chain with a recorded gradient") {
  const Tensor x = tensor({1.0}).attach_grad();
  const Record record;
  Tensor y = x;
  for (int i = 0; i < 20'000; ++i) y = y * tensor({1.0});
  const Tensor d = autograd::grad({y * y}, {x}, {.create_graph = true})[0];
  CHECK(d.item<double>() == 2);
  CHECK(autograd::grad({d}, {x})[0].item<double>() == 2);
}
