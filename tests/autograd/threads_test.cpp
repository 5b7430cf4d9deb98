// Several threads: one graph between two, graphs of their own, graphs that share a leaf.
#include <doctest/doctest.h>

#include <atomic>
#include <barrier>
#include <thread>

#include "tests/support/op_table.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;
using autograd::Record;

namespace {

using Floats = std::vector<float>;

// y = x doubled `depth` times, all on the tape.
Tensor doubled(const Tensor& x, int depth) {
  const Record record;
  Tensor y = x;
  for (int i = 0; i < depth; ++i) y = y + y;
  return y;
}

struct Race {
  int succeeded = 0, refused = 0, other = 0, wrong = 0;
};

// Two threads call backward on one graph at the same moment.
Race race(bool retain, int rounds) {
  Race result;
  for (int round = 0; round < rounds; ++round) {
    const Tensor x = ones({3}).attach_grad();
    const Tensor y = doubled(x, 40);
    std::atomic<int> succeeded{0}, refused{0}, other{0};
    std::barrier start(2);
    auto body = [&] {
      start.arrive_and_wait();
      try {
        y.backward({.retain_graph = retain});
        ++succeeded;
      } catch (const AutogradError&) {
        ++refused;
      } catch (...) {
        ++other;
      }
    };
    std::thread first(body), second(body);
    first.join();
    second.join();
    result.succeeded += succeeded, result.refused += refused, result.other += other;
    const float want = static_cast<float>(int64_t{1} << 40);
    result.wrong += succeeded == 0 || x.grad().to_vector<float>() != Floats(3, want);
  }
  return result;
}

}  // namespace

TEST_CASE("threads: two on one graph: one wins or both do, never a wrong number") {
  for (const bool retain : {false, true}) {
    const Race result = race(retain, 300);
    CAPTURE(retain);
    MESSAGE(result.succeeded, " passes succeeded, ", result.refused, " were refused");
    CHECK(result.other == 0);
    CHECK(result.wrong == 0);
    CHECK(result.succeeded + result.refused == 600);
  }
}

TEST_CASE("threads: graphs of their own") {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const DeviceGuard device(Device(DeviceType::cpu, t));
      for (int i = 0; i < 200; ++i) {
        const Tensor x = full({5}, i).attach_grad();
        Tensor loss;
        {
          const Record record;
          loss = (x * x * x).sum();
        }
        loss.backward();
        wrong += x.grad().to_vector<float>() != Floats(5, 3.f * static_cast<float>(i) * static_cast<float>(i));
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("threads: graphs that share a leaf which adds") {
  const Tensor x = ones({4}).attach_grad(GradReq::add);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) doubled(x, 3).backward();
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(x.grad().to_vector<float>() == Floats(4, 3200));
}

TEST_CASE("threads: a graph made in one and used in another") {
  const Tensor x = ones({4}).attach_grad();
  Tensor y;
  std::thread([&] { y = doubled(x, 5); }).join();
  std::thread([&] { y.backward(); }).join();
  y = Tensor();
  CHECK(x.grad().to_vector<float>() == Floats(4, 32));
}

TEST_CASE("threads: readers of one tensor") {
  const Tensor x = arange(0, 1000);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const Tensor view = x.slice(0, i, 1000);
        wrong += view.sum().item<float>() != static_cast<float>((999 + i) * (1000 - i) / 2);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}
