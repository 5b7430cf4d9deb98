// Workers and the calls that run on them: whose device, whose random numbers, whose errors, in which order.
#include "weft/parallel/apply.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/parallel/ranks.h"
#include "tests/support/text_of.h"
#include "weft/nn/module.h"
#include "weft/parallel/collectives.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/errors.h"
#include "weft/parallel/worker.h"
#include "weft/parallel/workers.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

Tensors one_on_each(const std::vector<Device>& devices) {
  Tensors x;
  for (const Device device : devices) x.push_back(ones({1}, {.device = device}));
  return x;
}

}  // namespace

TEST_SUITE("parallel/apply") {
  TEST_CASE("ranks that draw differently often are an error") {
    const auto devices = devices_here(3);
    const auto draw = [&](int more) {
      return text_of([&] {
        on_ranks(devices, one_on_each(devices), [&](int rank, const Tensor& x) {
          for (int i = 0; i < (rank == 2 ? 1 + more : 1); ++i) randn({2});
          return x;
        });
      });
    };
    CHECK(draw(0) == "nothing was thrown");
    CHECK(draw(1).find("every rank must draw the same random tensors in the same order") != std::string::npos);
  }

  TEST_CASE("a rank without samples leaves the others their places in the batch") {
    struct Noise : nn::Module {
      Tensor forward(const Tensor& x) const { return randn(x.shape()); }
    } net;
    const auto noise = [&](int n, const std::vector<double>& weights) {
      seed(5);
      const DataParallelModel model(net, devices_here(n), wrapped({.weights = weights}));
      return gather(model(ones({5, 3})), device_here(0)).to_vector<float>();
    };
    const auto expected = noise(1, {});
    CHECK(noise(3, {1, 0, 1}) == expected);
    CHECK(noise(3, {0, 1, 2}) == expected);
  }

  TEST_CASE("work is done on the rank's device, also by a call in a worker") {
    const auto inner = Workers::acquire(devices_here(2)), outer = Workers::acquire({device_here(2)});
    std::vector<Device> seen(2);
    const auto look = [&](int rank) { seen[static_cast<size_t>(rank)] = current_device(); };
    inner->run_all(look);
    CHECK(seen == devices_here(2));
    seen.assign(2, Device());
    outer->run_all([&](int) {
      inner->run_all(look);
      CHECK(current_device() == device_here(2));
    });
    CHECK(seen == devices_here(2));
  }

  TEST_CASE("all errors come out, in the order of ranks, whichever was first") {
    const auto devices = devices_here(3);
    const auto workers = Workers::acquire(devices);
    std::string text;
    try {
      workers->run_all([](int rank) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10 * (2 - rank)));
        fail<Error>("rank ", rank);
      });
    } catch (const WorkerErrors& errors) {
      text = errors.what();
      for (size_t i = 0; i < 3; ++i) CHECK(errors.errors()[i].rank == static_cast<int>(i));
    }
    CHECK(text == said_here("parallel: 3 of 3 devices failed. cpu:0: rank 0. cpu:1: rank 1. cpu:2: rank 2"));
  }

  TEST_CASE("calls from several threads come to all workers in one order") {
    const auto devices = devices_here(3);
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 20; ++i) {
          const auto sums = on_ranks(devices, one_on_each(devices), [](int, const Tensor& x) { return all_reduce(x); });
          for (const Tensor& sum : sums) good += sum.item<float>() == 3;
        }
      });
    for (std::thread& thread : threads) thread.join();
    CHECK(good == 3 * 20 * 3);
  }

  TEST_CASE("what a call holds is gone when it ends, whatever its workers still do") {
    Workers workers(devices_here(3), 1);
    int late = 0;
    for (int call = 0; call < 2000; ++call) {
      auto held = std::make_shared<int>(call);
      workers.run_all([held](int) {});
      late += held.use_count() != 1;
    }
    CHECK(late == 0);
  }

  TEST_CASE("what a task holds goes before the worker locks its queue again") {
    std::atomic<int> ran{0};
    Worker worker(device_here(0), 1);
    struct Last {
      Worker& worker;
      std::atomic<int>& ran;
      ~Last() {
        Worker::Tasks more;
        more.push_back([&ran = ran] { ++ran; });
        worker.queue(std::move(more));
      }
    };
    Worker::Tasks first;
    first.push_back([last = std::make_shared<Last>(worker, ran)] { ++last->ran; });
    worker.queue(std::move(first));
    for (int i = 0; i < 10000 && ran < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(ran == 2);
  }
}
