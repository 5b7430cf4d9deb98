// What the tape keeps is watched: a change in place after the forward pass is an error, never a wrong number.
#include <doctest/doctest.h>

#include "tests/support/op_table.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;
using autograd::Record;

namespace {
template <class F>
Tensor recorded(F f) {
  const Record record;
  return f();
}
}  // namespace

TEST_CASE("saved: an input changed in place is named with its writer and versions") {
  Tensor x = ones({4, 6}).attach_grad(), w = ones({4, 6});
  const Tensor y = recorded([&] { return x * w; });
  w.add_(ones({6}));
  CHECK(
      throws<AutogradError>("backward of mul: its saved input ([4, 6], cpu:0) was changed in place by 'add_' after the "
                            "forward pass (version 1, saved 0); use a copy",
                            [&] { y.backward(); }) == "");
  CHECK(!x.grad().defined());
}

TEST_CASE("saved: the change may come through any view, before or after the fact") {
  Tensor x = ones({4}).attach_grad(), w = ones({4});
  Tensor view = w.slice(0, 0, 2);
  const Tensor y = recorded([&] { return x * w; });
  view.fill_(3);
  CHECK(throws<AutogradError>("backward of mul: …'fill_'…", [&] { y.backward(); }) == "");
  w.fill_(1);
  const Tensor z = recorded([&] { return x * w.slice(0, 0, 4); });
  w.mul_(2);
  CHECK(throws<AutogradError>("backward of mul: …'mul_'…", [&] { z.backward(); }) == "");
}

TEST_CASE("saved: a change before the forward pass is none") {
  Tensor x = ones({2}).attach_grad(), w = ones({2});
  w.fill_(5);
  recorded([&] { return x * w; }).backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>{5, 5});
}

TEST_CASE("saved: what no gradient reads may change") {
  Tensor x = ones({2}).attach_grad(), b = ones({2});
  const Tensor y = recorded([&] { return x + b; });
  b.fill_(7);
  y.backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>{1, 1});
  const Tensor w = ones({2});
  const Tensor z = recorded([&] { return x * w; });
  x.fill_(3);  // saved only for the gradient by w, which nobody wants: optimisers change leaves like this
  z.backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>{1, 1});
}

TEST_CASE("saved: an operation's own output, changed in place") {
  Tensor x = ones({3}).attach_grad();
  Tensor y = recorded([&] { return exp(x); });
  y.detach().zero_();
  CHECK(throws<AutogradError>(
            "backward of exp: its saved output ([3], cpu:0) was changed in place by 'fill_' after the forward "
            "pass (version 1, saved 0); use a copy",
            [&] { y.backward(); }) == "");
}

TEST_CASE("saved: a leaf changed between forward and backward") {
  Tensor x = tensor({2.f, 3.f}).attach_grad();
  const Tensor y = recorded([&] { return x * x; });
  x.fill_(0);
  CHECK(throws<AutogradError>("backward of mul: …'fill_'…", [&] { y.backward(); }) == "");
}

TEST_CASE("saved: changed between backward and a backward of the gradient") {
  const Tensor x = tensor({2.0}).attach_grad();
  Tensor w = tensor({3.0});
  const Record record;
  const Tensor y = x * w * x;
  const Tensor d = autograd::grad({y}, {x}, {.create_graph = true})[0];
  {
    const autograd::Pause pause;
    w.fill_(1);
  }
  CHECK(throws<AutogradError>("backward of …'fill_'…", [&] { autograd::grad({d}, {x}); }) == "");
}
