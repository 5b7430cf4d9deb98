#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <latch>
#include <thread>

#include "tests/parallel/devices.h"
#include "weft/parallel/parallel.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

struct Twice : Parallelizable<std::tuple<Tensor, int>, Tensor> {
  Tensor forward_backward(std::tuple<Tensor, int> x) override {
    auto& [tensor, factor] = x;
    return tensor * factor;
  }
};

std::vector<Device> two() { return devices_here(2); }

}  // namespace

TEST_SUITE("parallel/pool") {
  TEST_CASE("results come in the order of put, whatever finishes first") {
    for (const int workers : {0, 1, 2, 3}) {
      CAPTURE(workers);
      Parallel<int, int> pool(workers, [](int i) {
        std::this_thread::sleep_for(std::chrono::microseconds(i % 3 * 300));
        return i * i;
      });
      for (int i = 0; i < 40; ++i) pool.put(i);
      for (int i = 0; i < 40; ++i) CHECK(pool.get() == i * i);
    }
  }

  TEST_CASE("an item runs on the worker of its tensors' device") {
    Twice task;
    Parallel pool(2, task, {.devices = two()});
    for (auto& share : split_and_load(std::tuple(arange(0, 4), 3), two())) pool.put(share);
    const std::vector<Tensor> results = pool.drain();
    CHECK(results[1].device() == two()[1]);
    CHECK(results[1].to_vector<int>() == std::vector<int>{6, 9});
    Parallel<Tensor, Device> where(2, [](const Tensor&) { return current_device(); }, {.devices = two()});
    where.put(zeros({1}, {.device = device_here(1)}));
    where.put(zeros({1}, {.device = device_here(1)}));
    CHECK(where.drain() == std::vector<Device>{device_here(1), device_here(1)});
  }

  TEST_CASE("errors come out of get, the pool goes on, drain tells all of them") {
    for (const int workers : {0, 2}) {
      CAPTURE(workers);
      Parallel<int, int> pool(workers, [](int i) {
        if (i == 1) throw ShapeError("odd: 1");
        if (i == 3) throw 42;
        return i;
      });
      for (int i = 0; i < 2; ++i) pool.put(i);
      CHECK(pool.get() == 0);
      CHECK_THROWS_WITH_AS(pool.get(), "odd: 1", ShapeError);
      for (int i = 0; i < 4; ++i) pool.put(i);
      try {
        pool.drain();
        CHECK(false);
      } catch (const WorkerErrors& errors) {
        CHECK(errors.errors().size() == 2);
        CHECK(std::string(errors.what()).find("threw a value of type int") != std::string::npos);
      }
      CHECK(pool.outstanding() == 0);
      pool.put(7);
      CHECK(pool.get() == 7);
    }
  }

  TEST_CASE("tickets, any, time-outs, map") {
    std::latch gate(1);
    Parallel<int, int> pool(2,
                            [&](int i) {
                              if (i == 0) gate.wait();
                              return i;
                            },
                            {.serial_init = false});
    const auto slow = pool.put(0);
    const auto fast = pool.put(1);
    CHECK(pool.get(fast) == 1);
    CHECK_FALSE(pool.get_for(std::chrono::milliseconds(5)).has_value());
    const auto behind = pool.put(2);  // in turn: to the worker that waits for the gate
    pool.put(3);
    CHECK(pool.get_any() == 3);
    gate.count_down();
    CHECK(pool.get(behind) == 2);
    CHECK(pool.get(slow) == 0);
    CHECK_THROWS_AS(pool.get(slow), Error);
    CHECK_THROWS_AS(pool.get(), Error);
    CHECK(pool.map({5, 6, 7}) == std::vector<int>{5, 6, 7});
  }

  TEST_CASE("what an item holds is gone when its result is there") {
    static std::atomic<int> alive{0};
    struct SlowToGo {
      SlowToGo() { ++alive; }
      ~SlowToGo() {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        --alive;
      }
    };
    Parallel<std::shared_ptr<SlowToGo>, int> pool(2, [](const std::shared_ptr<SlowToGo>&) { return alive.load(); });
    for (int item = 0; item < 20; ++item) {
      pool.put(std::make_shared<SlowToGo>());
      CHECK(pool.get() == 1);
      CHECK(alive == 0);
    }
  }

  TEST_CASE("cancel drops what has not started, close refuses more") {
    std::latch started(1), gate(1);
    Parallel<int, int> pool(1,
                            [&](int i) {
                              started.count_down();
                              gate.wait();
                              return i;
                            },
                            {.serial_init = false});
    pool.put(1);
    started.wait();
    pool.put(2);
    pool.cancel();
    pool.close();
    gate.count_down();
    CHECK(pool.get() == 1);
    CHECK_THROWS_WITH(pool.get(), "Parallel: item 1 was cancelled before it started");
    CHECK_THROWS_WITH(pool.put(3), "Parallel: put after close()");
  }

  TEST_CASE("put waits when too many items wait for a worker") {
    std::latch gate(1);
    Parallel<int, int> pool(1,
                            [&](int i) {
                              gate.wait();
                              return i;
                            },
                            {.serial_init = false, .capacity = 2, .deadline = std::chrono::milliseconds(50)});
    pool.put(0);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    pool.put(1), pool.put(2);
    CHECK_THROWS_AS(pool.put(3), Error);
    gate.count_down();
  }

  TEST_CASE("the first item of each device runs alone") {
    std::atomic<int> running{0}, together{0};
    std::atomic<int> calls{0};
    Parallel<Tensor, int> pool(2,
                               [&](const Tensor&) {
                                 const int now = ++running;
                                 if (++calls <= 2 && now > 1) ++together;
                                 std::this_thread::sleep_for(std::chrono::milliseconds(5));
                                 --running;
                                 return 0;
                               },
                               {.devices = two()});
    for (int i = 0; i < 6; ++i) pool.put(zeros({1}, {.device = two()[static_cast<size_t>(i) % 2]}));
    pool.drain();
    CHECK(together == 0);
  }

  TEST_CASE("items of a round draw as parts of one batch, rounds differently") {
    const DeviceGuard here(two()[0]);
    seed(5);
    const std::vector<float> whole = randn({3, 2}).to_vector<float>();
    seed(5);
    Parallel<Tensor, Tensor> pool(2, [](const Tensor& x) { return randn(x.shape()); }, {.devices = two()});
    std::vector<std::vector<float>> rounds(2);
    for (std::vector<float>& round : rounds) {
      pool.put(ones({2, 2})), pool.put(ones({1, 2}, {.device = two()[1]}));
      for (const Tensor& part : pool.drain())
        for (const float value : part.to_vector<float>()) round.push_back(value);
    }
    CHECK(rounds[0] == whole);
    CHECK(rounds[1] != whole);
  }

  TEST_CASE("after the first item of each device, items run side by side") {
    std::latch both(2);
    Parallel<Tensor, int> pool(2,
                               [&](const Tensor& x) {
                                 if (x.item<int>() == 0) return 0;
                                 both.arrive_and_wait();
                                 return 1;
                               },
                               {.devices = two()});
    for (const int value : {0, 1}) {
      for (const Device device : two()) pool.put(full({}, value, {.device = device}));
      CHECK(pool.drain() == std::vector<int>{value, value});
    }
  }

  TEST_CASE("the caller's recording and training flags reach the workers, and stay there no longer") {
    Parallel<int, std::pair<bool, bool>> pool(
        2, [](int) { return std::pair(autograd::is_recording(), autograd::is_training()); });
    {
      const autograd::Record record;
      pool.put(0), pool.put(1), pool.put(2);
    }
    pool.put(3);
    {
      const autograd::TrainMode train;
      pool.put(4);
    }
    const auto flags = pool.drain();
    for (size_t i = 0; i < 3; ++i) CHECK(flags[i] == std::pair(true, true));
    CHECK(flags[3] == std::pair(false, false));
    CHECK(flags[4] == std::pair(false, true));
  }

  TEST_CASE("a round of puts is a group; one that cannot run at once is an error, not a wait") {
    const auto sum = [](const Tensor& x) {
      const RankContext rank = current_rank();
      if (!rank.group) throw Error("no group");
      return rank.group
          ->meet(rank.rank, "sum", {x},
                 [](std::span<const Tensors> all) {
                   return std::vector<Tensors>(all.size(), {all[0][0] + all[1][0].to(all[0][0].device())});
                 })[0]
          .item<int>();
    };
    Parallel<Tensor, int> pool(2, sum, {.serial_init = false, .devices = two()});
    for (int round = 1; round < 4; ++round) {
      pool.put(full({1}, round));
      pool.put(full({1}, 10, {.device = device_here(1)}));
      CHECK(pool.drain() == std::vector<int>{round + 10, round + 10});
    }
    Parallel<Tensor, int> serial(2, sum, {.devices = two()});
    serial.put(ones({1}));
    CHECK_THROWS_AS(serial.get(), CommError);
  }

  TEST_CASE("a pool in a worker runs inline") {
    Parallel<int, int> outer(2, [](int i) {
      Parallel<int, int> inner(2, [](int j) { return j + 1; });
      return inner.map({i, i * 10})[1];
    });
    CHECK(outer.map({1, 2}) == std::vector<int>{11, 21});
  }
}
