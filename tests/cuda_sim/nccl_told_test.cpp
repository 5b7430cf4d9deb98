// Who is told that results of a collective are lost: each thread that reads one or finishes, whatever its errors
// were taken for on the way.
#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "tests/cuda_sim/operand.h"
#include "tests/cuda_sim/sim.h"
#include "weft/nn/answering.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/creation.h"
#include "weft/tensor/error.h"
#include "weft/tensor/profile.h"

using namespace weft;
using namespace weft::test;
using namespace std::chrono_literals;

namespace {

const Device cuda0("cuda:0"), cuda1("cuda:1");
const std::vector<Device> both{cuda0, cuda1};

template <class E, class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Two devices with a communicator, and a sum of theirs that never comes to its end.
struct Afresh {
  CommOptions before = comm_options();
  Tensors x, y;

  Afresh() {
    fresh_devices();
    sim::set_deadlock_seconds(1);
    x = {ones({6}, {.device = cuda0}), ones({6}, {.device = cuda1})};
    ops::all_reduce(x);
    finish_collectives(both);
    set_comm_options({.deadline = 200ms, .abort_deadline = 5s});
  }
  ~Afresh() {
    set_comm_options(before);
    sim::set_deadlock_seconds(5);
    x.clear(), y.clear();
    fresh_devices();
  }
  Afresh(const Afresh&) = delete;
  Afresh& operator=(const Afresh&) = delete;

  void lose_device() {
    y = ops::all_reduce(x);
    sim::inject({.kind = sim::FaultKind::device_lost, .device = 0, .code = cudaErrorECCUncorrectable});
  }
};

}  // namespace

TEST_SUITE("cuda_sim/nccl_told") {
  TEST_CASE("a device is lost beside a sum: who reads the other's part is told, also if the loss was met in passing") {
    for (const char* const met : {"not", "tensor", "tensor of two streams", "event", "profile", "copies of a value"}) {
      CAPTURE(std::string(met));
      const auto by = [&](const char* name) { return std::string(met) == name; };
      Afresh afresh;
      Event event;
      event.record(current_stream(cuda0));
      const Stream second = Stream::create(cuda0);
      std::optional<Profile> profile;
      if (by("profile")) profile.emplace();
      afresh.lose_device();
      if (by("tensor of two streams")) afresh.y[0].storage().record_stream(second);
      if (by("tensor") || by("tensor of two streams")) afresh.y[0] = Tensor();
      if (by("event")) event = Event();
      if (by("profile")) profile->events();
      if (by("copies of a value")) CHECK(nn::first_answering(both) == 1);
      const std::string text = message_of<CommError>([&] { afresh.y[1].to_vector<float>(); });
      CHECK_MESSAGE(has(text, "cuda:0 is lost: CUDA error 214"), text);
      CHECK(has(text, "all_reduce #2 float32[6]"));
      afresh.y[1].to_vector<float>();  // told once
    }
  }

  TEST_CASE("a device is lost beside a sum: who finishes is told, and once") {
    Afresh afresh;
    afresh.lose_device();
    CHECK(has(message_of<CommError>([] { finish_collectives(both); }), "cuda:0 is lost: CUDA error 214"));
    finish_collectives(both);
    CHECK(ones({2}, {.device = cuda1}).to_vector<float>() == std::vector<float>{1, 1});
  }

  TEST_CASE("a device is lost beside a sum: who was thrown it is not told of the sum as well") {
    Afresh afresh;
    afresh.lose_device();
    CHECK_THROWS_AS(afresh.y[0].to_vector<float>(), DeviceLost);
    afresh.y[1].to_vector<float>();
  }
}
