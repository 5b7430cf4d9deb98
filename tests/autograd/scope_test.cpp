// Recording and training flags: scopes nest, restore after exceptions, and belong to a thread.
#include <doctest/doctest.h>

#include <stdexcept>
#include <thread>

#include "weft/autograd/record_scope.h"

using namespace weft::autograd;

namespace {
bool is(bool recording, bool training) { return is_recording() == recording && is_training() == training; }
}  // namespace

TEST_CASE("scope: what each sets") {
  CHECK(is(false, false));
  {
    const Record record;
    CHECK(is(true, true));
    {
      const Pause pause;
      CHECK(is(false, false));
      const Record inner(false);
      CHECK(is(true, false));
    }
    CHECK(is(true, true));
    {
      const Pause pause(true);
      CHECK(is(false, true));
    }
    {
      const PredictMode predict;
      CHECK(is(true, false));
      {
        const TrainMode train;
        CHECK(is(true, true));
      }
      {
        const NoGrad none;
        CHECK(is(false, false));
      }
      CHECK(is(true, false));
    }
    {
      const NoGrad none;
      CHECK(is(false, true));
      const TrainMode train;
      CHECK(is(false, true));
    }
    CHECK(is(true, true));
  }
  CHECK(is(false, false));
  {
    const TrainMode train;
    CHECK(is(false, true));
    const PredictMode predict;
    CHECK(is(false, false));
  }
  {
    const Record record(false);
    CHECK(is(true, false));
  }
}

TEST_CASE("scope: exceptions restore") {
  const Record record;
  try {
    const Pause pause;
    const TrainMode train;
    throw std::runtime_error("inside");
  } catch (const std::runtime_error&) {
  }
  CHECK(is(true, true));
}

TEST_CASE("scope: a new thread starts with neither flag") {
  const Record record;
  bool recording = true, training = true;
  std::thread([&] {
    recording = is_recording(), training = is_training();
    const Record mine;
  }).join();
  CHECK(!recording);
  CHECK(!training);
  CHECK(is(true, true));
}
