// A backward pass that fails: write-gradients are stale, add-gradients as before, the graph is used up, nothing leaks.
#include <doctest/doctest.h>

#include <stdexcept>

#include "tests/support/op_table.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;
using autograd::leaf_of;
using autograd::Record;

namespace {

using Floats = std::vector<float>;

// x, with a gradient that throws.
Tensor mined(const Tensor& x) {
  Tensor y = x.detach().clone();
  Tensor outputs[] = {y};
  const Tensor inputs[] = {x};
  autograd::record_joint("mine", outputs, inputs, [](std::span<const Tensor>, std::span<const bool>) -> Tensors {
    throw std::runtime_error("stepped on");
  });
  return outputs[0];
}

struct Leaves {
  Tensor write = tensor({1.f}).attach_grad(), add = tensor({2.f}).attach_grad(GradReq::add),
         far = tensor({3.f}).attach_grad();
  Tensor safe() const {
    const Record record;
    return write * add * far;
  }
  Tensor explosive() const {
    const Record record;
    return write * add + mined(far * write);
  }
};

template <class F>
std::string text_of(F f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

void check_after_failure(const Leaves& x) {
  CHECK(leaf_of(x.write)->stale());
  CHECK(leaf_of(x.far)->stale());
  CHECK(!leaf_of(x.add)->stale());
  CHECK(x.add.grad().to_vector<float>() == Floats{3});
  CHECK(x.write.grad().to_vector<float>() == Floats{6});
}

}  // namespace

TEST_CASE("failure: in a pullback") {
  const Leaves x;
  x.safe().backward();
  CHECK(!leaf_of(x.write)->stale());
  const Tensor loss = x.explosive();
  CHECK(text_of([&] { loss.backward(); }) == "stepped on");
  check_after_failure(x);
  CHECK(throws<AutogradError>(
            "backward of add: the graph of this loss was already used and released; pass retain_graph to the first "
            "call",
            [&] { loss.backward(); }) == "");
  x.safe().backward();  // everything works again
  CHECK(!leaf_of(x.write)->stale());
  CHECK(x.add.grad().to_vector<float>() == Floats{6});
  CHECK(x.write.grad().to_vector<float>() == Floats{6});
}

TEST_CASE("failure: in a hook of a node, and of a leaf") {
  for (const bool of_leaf : {false, true}) {
    const Leaves x;
    x.safe().backward();
    const Tensor loss = x.safe();
    autograd::as_node((of_leaf ? x.far : loss).impl().slot)->add_hook(0, [](const Tensor&) -> Tensor { throw 42; });
    bool caught = false;
    try {
      loss.backward();
    } catch (int number) {
      caught = number == 42;
    }
    CHECK(caught);
    check_after_failure(x);
  }
}

TEST_CASE("failure: grad() stores nothing, so nothing is stale") {
  const Leaves x;
  x.safe().backward();
  CHECK(text_of([&] { autograd::grad({x.explosive()}, {x.write, x.far}); }) == "stepped on");
  CHECK(!leaf_of(x.write)->stale());
  CHECK(x.write.grad().to_vector<float>() == Floats{6});
}

TEST_CASE("failure: a retained graph is used up too") {
  const Leaves x;
  const Tensor loss = x.explosive();
  CHECK(text_of([&] { loss.backward({.retain_graph = true}); }) == "stepped on");
  CHECK(throws<AutogradError>("backward of …: the graph of this loss was already used and released…",
                              [&] { loss.backward(); }) == "");
}

TEST_CASE("failure: on one of several devices, with a worker each") {
  for (int bad = 0; bad < 3; ++bad) {
    std::vector<Tensor> leaves, losses;
    for (int i = 0; i < 3; ++i) {
      const DeviceGuard device(Device(DeviceType::cpu, i));
      leaves.push_back(ones({4}).attach_grad(i == 1 ? GradReq::add : GradReq::write));
      const Record record;
      Tensor y = leaves.back() * leaves.back();
      losses.push_back((i == bad ? mined(y) : y).sum());
    }
    autograd::ThreadExecutor executor;
    CHECK(text_of([&] { autograd::backward(losses, {}, &executor); }) == "stepped on");
    for (int i = 0; i < 3; ++i) {
      CHECK(!leaves[static_cast<size_t>(i)].grad().defined());
      CHECK(leaf_of(leaves[static_cast<size_t>(i)])->stale() == (i != 1));
    }
    CHECK(current_device() == Device("cpu:0"));
    CHECK(!autograd::is_recording());
  }
}

TEST_CASE("failure: the thread's state is what it was") {
  const Leaves x;
  const Tensor loss = x.explosive();
  const DeviceGuard device("cpu:5");
  const Record record(false);
  CHECK(text_of([&] { loss.backward(); }) == "stepped on");
  CHECK(current_device() == Device("cpu:5"));
  CHECK(autograd::is_recording());
  CHECK(!autograd::is_training());
}
