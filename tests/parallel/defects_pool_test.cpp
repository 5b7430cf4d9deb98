// Defects D1 to D9 of the original's pool: weft does better, the original does not.
#include <doctest/doctest.h>

#include <latch>
#include <set>

#include "tests/parallel/devices.h"
#include "tests/parallel/original.h"
#include "tests/support/child.h"
#include "weft/parallel/parallel.h"

using namespace weft;
using namespace weft::test;
using std::chrono::milliseconds;

namespace {

using Flags = std::pair<bool, bool>;
Flags flags() { return {autograd::is_recording(), autograd::is_training()}; }

int odd_ones_fail(int i) {
  if (i % 2) throw ShapeError("odd");
  return i;
}

// 0 ends once it is told to.
struct Overtaken {
  std::latch go{1};
  int operator()(int i) {
    if (i == 0) go.wait();
    return i;
  }
};

std::optional<parallel::Parallel<int, int>> module_scope_pool;

}  // namespace

CHILD(exit_with_a_pool) {
  module_scope_pool.emplace(
      2, [](int i) { return i; }, parallel::ParallelOptions{.serial_init = false});
  module_scope_pool->put(1);
}
CHILD(exit_with_an_original_pool) {
  static auto& pool = *new original::Parallel<int, int>(
      2, [](int i) { return i; }, false);
  pool.put(1);
  std::atexit([] { pool.join(); });
}

TEST_SUITE("parallel/defects of the pool") {
  TEST_CASE("D1 an exception in a worker comes out of get") {
    parallel::Parallel<int, int> pool(1, odd_ones_fail, {.serial_init = false});
    pool.put(1), pool.put(2);
    CHECK_THROWS_AS(pool.get(), ShapeError);
    CHECK(pool.get() == 2);

    original::Parallel<int, int> theirs(1, odd_ones_fail, false);
    theirs.put(1), theirs.put(2);
    CHECK_FALSE(theirs.get_for(milliseconds(50)).has_value());  // nobody is left to answer
    CHECK(theirs.alive() == 0);
  }

  TEST_CASE("D2 also in the serial phase, never out of put") {
    parallel::Parallel<int, int> pool(1, odd_ones_fail);
    CHECK_NOTHROW(pool.put(1));
    CHECK_THROWS_AS(pool.get(), ShapeError);

    original::Parallel<int, int> theirs(1, odd_ones_fail);
    CHECK_THROWS_AS(theirs.put(1), ShapeError);
  }

  TEST_CASE("D3 results come in the order of put") {
    Overtaken slow, their_slow;
    std::latch done(1);
    const auto work = [&](int i) {
      slow(i);
      if (i == 1) done.count_down();
      return i;
    };
    parallel::Parallel<int, int> pool(2, work, {.serial_init = false});
    original::Parallel<int, int> theirs(2, std::ref(their_slow), false);
    pool.put(0), pool.put(1), theirs.put(0), theirs.put(1);
    done.wait();  // 1 is through, 0 is not
    slow.go.count_down();
    CHECK(pool.get() == 0);
    CHECK(theirs.get_for(std::chrono::seconds(10)) == 1);
    their_slow.go.count_down();
    CHECK(theirs.get() == 0);
  }

  TEST_CASE("D4 a pool at module scope lets the process exit") {
    const ChildResult ours = run_child("exit_with_a_pool");
    CHECK_MESSAGE(ours.status == 0, ours.output);
    CHECK(run_child("exit_with_an_original_pool", 1).status == -1);
  }

  TEST_CASE("D5 the caller's recording reaches every item alike") {
    parallel::Parallel<int, Flags> pool(2, [](int) { return flags(); });
    original::Parallel<int, Flags> theirs(2, [](int) { return flags(); });
    const autograd::Record record;
    for (int i = 0; i < 4; ++i) pool.put(i), theirs.put(i);
    for (int i = 0; i < 4; ++i) CHECK(pool.get() == Flags(true, true));
    for (int i = 0; i < 4; ++i) CHECK(theirs.get() == Flags(i < 2, i < 2));
  }

  TEST_CASE("D6 serial_init counts devices, not puts") {
    if (!distinct_or_skip(2)) return;
    // Two items for one device, then the first of another, beside a further one of the first: does that run alone?
    struct Watch {
      std::atomic<int> running{0};
      std::atomic<bool> disturbed{false};
      int operator()(const Tensor& x) {
        const int others = running++;
        const bool first_of_its_device = x.item<int>() == 9;
        for (int i = 0; first_of_its_device && i < 40 && running == 1; ++i)
          std::this_thread::sleep_for(milliseconds(1));
        if (first_of_its_device && (others > 0 || running > 1)) disturbed = true;
        if (!first_of_its_device) std::this_thread::sleep_for(milliseconds(2));
        --running;
        return 0;
      }
    } watch, their_watch;
    const auto items = [](auto& pool) {
      for (const int i : {0, 0}) pool.put(full({}, i, {.device = device_here(0)}));
      pool.put(full({}, 9, {.device = device_here(1)}));
      for (const int i : {0, 0}) pool.put(full({}, i, {.device = device_here(0)}));
      for (int i = 0; i < 5; ++i) pool.get();
    };
    parallel::Parallel<Tensor, int> pool(2, std::ref(watch), {.devices = devices_here(2)});
    items(pool);
    CHECK_FALSE(watch.disturbed);
    original::Parallel<Tensor, int> theirs(2, std::ref(their_watch));
    items(theirs);
    CHECK(their_watch.disturbed);
  }

  TEST_CASE("D7 put waits when too many wait, gives up in time, and refuses after close") {
    std::latch gate(1);
    const auto wait = [&](int i) {
      gate.wait();
      return i;
    };
    parallel::Parallel<int, int> pool(1, wait, {.serial_init = false, .capacity = 3, .deadline = milliseconds(20)});
    original::Parallel<int, int> theirs(1, wait, false);
    CHECK_THROWS_AS(
        [&] {
          for (int i = 0; i < 100; ++i) pool.put(i);
        }(),
        Error);
    CHECK_THROWS_AS(pool.get(), Error);  // in time as well
    pool.close();
    CHECK_THROWS_WITH(pool.put(1), "Parallel: put after close()");
    for (int i = 0; i < 100; ++i) theirs.put(i);
    CHECK(theirs.waiting() >= 99);  // all of them, without a bound
    gate.count_down();
  }

  TEST_CASE("D9 an item runs on the worker of its device") {
    std::latch both(2), their_both(2);
    const auto where = [](std::latch& latch) {
      return [&latch](const Tensor& x) {
        latch.arrive_and_wait();
        return current_device() == x.device();
      };
    };
    parallel::Parallel<Tensor, bool> pool(2, where(both), {.serial_init = false, .devices = devices_here(2)});
    original::Parallel<Tensor, bool> theirs(2, where(their_both), false);
    for (const Device device : {devices_here(2)[1], devices_here(2)[0]}) {
      pool.put(ones({1}, {.device = device}));
      theirs.put(ones({1}, {.device = device}));
    }
    CHECK((pool.get() && pool.get()));
    const bool one = theirs.get(), other = theirs.get();
    CHECK_FALSE((one && other));
  }
}
