// A launch fails while the trainer divides gradients by the scale of the loss, or clips them: whoever calls again gets
// an error or the bits of a step that never failed, on all devices.
#include "tests/cuda_sim/failure.h"
#include "weft/autograd/node.h"
#include "weft/nn/optim/grad_scaler.h"

using namespace weft;
using namespace weft::test;

namespace {

struct Scaled : Training {
  Scaled() : Training({"cuda:0", "cuda:1"}) {}

  void pass() {
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = scaler.scale(criterion(model(batch), labels));
    }
    parallel::parallel_backward(losses);
  }
  void unscale() { trainer.unscale_grads(scaler), unscaled = true; }
  void clip() { trainer.clip_grad_norm(0.1), trainer.clip_grad_value(0.02); }
  bool has_gradients() const {
    size_t there = 0, all = 0;
    for (const nn::Parameter& p : net.parameters())
      for (int i = 0; i < p.places(); ++i) ++all, there += p.grad_at(i).defined();
    CHECK((there == 0 || there == all));
    return there > 0;
  }

  nn::optim::GradScaler scaler{{.init_scale = 16}};
  bool unscaled = false;
};

Values clean() {
  Scaled training;
  training.pass(), training.unscale(), training.clip(), training.trainer.step(1, training.scaler);
  return training.values(0);
}

// The number of faults that fired when launch `nth` on a device failed.
int64_t fail_at(int device, int64_t nth, const Values& expected, int& dropped) {
  CAPTURE(device);
  CAPTURE(nth);
  Scaled training;
  training.pass();
  sim::clear_faults();
  sim::inject({.kind = FaultKind::launch, .device = device, .nth = nth, .code = cudaErrorInvalidConfiguration});
  const std::string text = error_of([&] { training.unscale(), training.clip(); });
  const int64_t fired = sim::fired(FaultKind::launch);
  sim::clear_faults();
  CHECK(text.empty() == (fired == 0));
  if (fired > 0 && !training.has_gradients()) {
    ++dropped;
    const std::string again = error_of([&] { training.trainer.step(1, training.scaler); });
    CHECK(has(again, "is stale"));
    training.pass(), training.unscale(), training.clip();
  } else if (fired > 0) {
    if (!training.unscaled) training.unscale();
    training.clip();
  }
  training.trainer.step(1, training.scaler);
  CHECK(training.copies_hold(expected));
  return fired;
}

}  // namespace

TEST_CASE("gradients divided or clipped on one device alone: no retry steps with them") {
  const Afresh afresh;
  const Values expected = clean();
  int places = 0, dropped = 0;
  for (const int device : {0, 1})
    for (int64_t nth = 0; fail_at(device, nth, expected, dropped) > 0; ++nth) ++places;
  MESSAGE(places, " launches failed, ", dropped, " of them when gradients had changed");
  CHECK(dropped > 0);
  CHECK(reports() == "");
}
