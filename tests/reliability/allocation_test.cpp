// Every allocation of a training step fails once: the error is named, nothing changes that must not, nothing leaks, and
// the next step gives the bits of a run without faults. Rows 10 and 11 of the faults weft survives, for the CPU.
#include <doctest/doctest.h>

#include <new>

#include "tests/support/faults.h"
#include "tests/support/op_table.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;

namespace {

using Bits = std::vector<std::vector<float>>;

struct Model {
  Tensor x = make({24, 16}, 1), w = make({24, 16}, 2).attach_grad(), b = make({16}, 3).attach_grad(GradReq::add),
         target = make({24, 16}, 4);
  uint64_t steps = 0;

  static Tensor make(const Shape& shape, uint64_t seed) {
    return make_tensor(make_values(input(shape), seed), DType::f32);
  }

  Tensor forward() const {
    const autograd::Record record;
    return mean(square(softmax(tanh(x * w + b), 1) - target));
  }
  void update() {
    w.add_(w.grad(), -0.1);
    b.add_(b.grad(), -0.1);
    b.zero_grad();
  }
  void step() {
    forward().backward();
    update();
  }
  Bits bits() const { return {w.to_vector<float>(), b.to_vector<float>()}; }
  Bits grads() const {
    auto values = [](const Tensor& g) { return g.defined() ? g.to_vector<float>() : std::vector<float>{}; };
    return {values(w.grad()), values(b.grad())};
  }
};

Bits clean_run() {
  Model model;
  model.step();
  model.step();
  return model.bits();
}

enum class Outcome { finished, refused };

// Runs `action` with the nth allocation failing (as often as the pool tries). True if the fault fired.
template <class F>
bool with_fault(HostFault kind, int64_t nth, int64_t count, Outcome& outcome, F action) {
  empty_cache("cpu");
  const FailAllocations plan(kind, nth, count);
  try {
    action();
    outcome = Outcome::finished;
  } catch (const OutOfMemory& e) {
    outcome = Outcome::refused;
    if (kind == HostFault::pool && std::string(e.what()).find("cpu:0 is out of memory: asked ") != 0) throw;
  } catch (const std::bad_alloc&) {
    outcome = Outcome::refused;
    if (kind == HostFault::pool) throw;
  }
  return plan.fired() > 0;
}

struct Fired {
  int forward = 0, backward = 0;
};

// Fails allocation 0, 1, … of the second step's forward and backward pass until none is left to fail.
Fired fail_each(HostFault kind, int64_t count) {
  const Bits want = clean_run();
  Fired fired;
  int stale = 0;
  for (const bool in_backward : {false, true}) {
    for (int64_t nth = 0;; ++nth) {
      CAPTURE(nth);
      CAPTURE(in_backward);
      Model model;
      model.step();
      const Bits values = model.bits();
      model.forward().backward();  // gradients that a failed pass must not touch, or must mark
      const Bits grads = model.grads();
      const int64_t live = memory_stats("cpu").live_storages;
      Outcome outcome = Outcome::finished;
      bool fires = false;
      {
        Tensor loss;
        if (in_backward) loss = model.forward();
        fires = with_fault(kind, nth, count, outcome,
                           [&] { in_backward ? loss.backward() : void(loss = model.forward()); });
      }
      CHECK(!autograd::is_recording());
      CHECK(model.bits() == values);
      if (outcome == Outcome::refused) {
        CHECK(model.grads() == grads);
        // Without host memory even to begin, backward() has not become a pass: then nothing is marked.
        if (kind == HostFault::pool || !in_backward) CHECK(autograd::leaf_of(model.w)->stale() == in_backward);
        stale += autograd::leaf_of(model.w)->stale();
        CHECK(!autograd::leaf_of(model.b)->stale());
        CHECK(memory_stats("cpu").live_storages == live);
      }
      model.b.zero_grad();
      model.step();
      CHECK(model.bits() == want);
      if (!fires) break;
      ++(in_backward ? fired.backward : fired.forward);
    }
  }
  CHECK(2 * stale > fired.backward);
  return fired;
}

}  // namespace

TEST_CASE("allocation: every block that the pool asks the system for fails, also the second time") {
  const Fired fired = fail_each(HostFault::pool, 2);
  MESSAGE("faults fired: forward ", fired.forward, ", backward ", fired.backward);
  CHECK(fired.forward > 3);
  CHECK(fired.backward > 1);
}

TEST_CASE("allocation: a block that is there after the cache was given back goes unnoticed") {
  Model model;
  const Bits want = clean_run();
  model.step();
  for (int64_t i = 0; i < 30; ++i) ones({1000 + 500 * i});  // something to give back
  Outcome outcome = Outcome::refused;
  const bool fired = with_fault(HostFault::pool, 0, 1, outcome, [&] { model.step(); });
  CHECK(fired);
  CHECK(outcome == Outcome::finished);
  CHECK(model.bits() == want);
}

TEST_CASE("allocation: every use of operator new fails") {
  if (!can_fail(HostFault::heap)) return;
  const Fired fired = fail_each(HostFault::heap, 1);
  MESSAGE("faults fired: forward ", fired.forward, ", backward ", fired.backward);
  CHECK(fired.forward + fired.backward > 3);
}

TEST_CASE("allocation: a batch that is too large is refused, a smaller one then works") {
  const MemoryStats before = memory_stats("cpu");
  CHECK(throws<OutOfMemory>("cpu:0 is out of memory: asked …; reduce the batch or call empty_cache()", [] {
          const Tensor row = ones({1, 1 << 20});
          row.expand({1 << 26, 1 << 20}).contiguous();
        }) == "");
  CHECK(memory_stats("cpu").in_use == before.in_use);
  CHECK(ones({1, 1 << 10}).expand({4, 1 << 10}).contiguous().sum().item<float>() == 4096);
}
