// Pools under random use against a serial oracle; what whole processes and several threads do with pools and models.
#include <doctest/doctest.h>

#include <chrono>
#include <optional>
#include <thread>

#include "tests/parallel/devices.h"
#include "tests/support/array.h"
#include "tests/support/child.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/nn/nn.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/operators.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

#if defined(__SANITIZE_THREAD__)
constexpr int workloads = 1000;
#else
constexpr int workloads = 10000;
#endif

// What item i gives: its number, or an exception of one of three kinds; every number is used once in a pool.
int task(int i) {
  if (i % 7 == 3) throw ShapeError("item " + std::to_string(i));
  if (i % 11 == 5) throw i;
  if (i % 13 != 4) return i;
  Parallel<int, int> inner(2, [](int j) { return j / 2; });  // in a worker: inline
  return inner.map({2 * i, 2 * i})[1];
}

template <class F>
std::string outcome(F&& f) {
  try {
    return std::to_string(f());
  } catch (const std::exception& error) {
    return error.what();
  } catch (int i) {
    return "threw " + std::to_string(i);
  }
}

// One pool, and what the oracle says of every item that was not fetched yet.
class Workload {
 public:
  explicit Workload(uint64_t seed) : dice_(seed) {
    const ParallelOptions options{.serial_init = dice_.integer(0, 1) == 1,
                                  .devices = devices_here(static_cast<int>(dice_.integer(1, 3))),
                                  .capacity = static_cast<int>(dice_.integer(1, 20))};
    pool_.emplace(static_cast<int>(dice_.integer(0, 3)), task, options);
  }
  // "" or what went wrong.
  std::string run() {
    for (int64_t steps = dice_.integer(1, 14); steps > 0 && wrong_.empty(); --steps) step();
    if (dice_.integer(0, 2) == 0) return wrong_;  // destroyed with work in it
    drain();
    if (pool_->outstanding() != 0) wrong_ += " something was left";
    return wrong_;
  }

 private:
  using Ticket = Pool::Ticket;
  void step() {
    const auto what = dice_.integer(0, 10);
    if (what <= 4 || expected_.empty()) return put();
    auto which = expected_.begin();
    if (what == 5) std::advance(which, dice_.integer(0, static_cast<int64_t>(expected_.size()) - 1));
    const Ticket ticket = which->first;
    if (what == 5) return fetched(ticket, outcome([&] { return pool_->get(ticket); }));
    if (what <= 7) return fetched(ticket, outcome([&] { return pool_->get(); }));
    if (what == 8) return any(outcome([&] { return pool_->get_any(); }));
    if (what == 9) return pool_->cancel(), void(cancelled_from_ = next_);
    drain();
  }
  void put() {
    const int i = number_++;
    const Ticket ticket = pool_->put(i);
    next_ = ticket + 1;
    expected_[ticket] = outcome([i] { return task(i); });
  }
  bool fits(Ticket ticket, const std::string& text) const {
    return text == expected_.at(ticket) ||
           (ticket < cancelled_from_ && text.find("was cancelled before it started") != std::string::npos);
  }
  void fetched(Ticket ticket, const std::string& text) {
    if (!fits(ticket, text)) wrong_ += " item " + std::to_string(ticket) + ": " + text + " for " + expected_[ticket];
    expected_.erase(ticket);
  }
  void any(const std::string& text) {
    for (const auto& [ticket, unused] : expected_)
      if (text == expected_[ticket] ||
          text.find("item " + std::to_string(ticket) + " was cancelled") != std::string::npos)
        return fetched(ticket, text);
    wrong_ += " nobody's result: " + text;
  }
  void drain() {
    std::vector<std::string> expected, found;
    bool may_be_cancelled = false, fails = false;
    for (const auto& [ticket, text] : expected_) {
      may_be_cancelled |= ticket < cancelled_from_;
      fails |= text.find_first_not_of("0123456789") != std::string::npos;
      expected.push_back(text);
    }
    expected_.clear();
    try {
      for (const int i : pool_->drain()) found.push_back(std::to_string(i));
      if (found != expected && !may_be_cancelled) wrong_ += " drain gave other results";
    } catch (const WorkerErrors& errors) {
      if (!fails && !may_be_cancelled) wrong_ += std::string(" drain: ") + errors.what();
    }
  }

  Dice dice_;
  std::optional<Parallel<int, int>> pool_;
  std::map<Ticket, std::string> expected_;
  Ticket next_ = 0, cancelled_from_ = 0;
  int number_ = 0;
  std::string wrong_;
};

// Rounds whose ranks meet, of which one fails, is cancelled or never comes: the others end at once.
std::string random_rounds(uint64_t seed) {
  Dice dice(seed);
  const int n = static_cast<int>(dice.integer(2, 3));
  const auto devices = devices_here(n);
  const auto begin = std::chrono::steady_clock::now();
  {
    Parallel<std::tuple<Tensor, int>, int> pool(n,
                                                [](const std::tuple<Tensor, int>& x) {
                                                  if (std::get<1>(x) == 1) throw Error("fails");
                                                  if (std::get<1>(x) == 2) return -1;
                                                  return static_cast<int>(all_reduce(std::get<0>(x)).item<float>());
                                                },
                                                {.serial_init = false, .devices = devices});
    for (int64_t rounds = dice.integer(1, 4); rounds > 0; --rounds) {
      int bad = 0;
      for (int rank = 0; rank < n; ++rank) {
        const int kind = dice.integer(0, 5) == 0 ? static_cast<int>(dice.integer(1, 2)) : 0;
        bad += kind != 0;
        pool.put(std::tuple(full({}, rank + 1, {.device = devices[static_cast<size_t>(rank)]}), kind));
      }
      const bool cancel = dice.integer(0, 5) == 0;
      if (cancel) pool.cancel();
      try {
        const std::vector<int> sums = pool.drain();
        if (bad == 0 && sums != std::vector<int>(static_cast<size_t>(n), n * (n + 1) / 2)) return "wrong sum";
        if (bad != 0 && bad != n) return "a round with a missing rank succeeded";
      } catch (const WorkerErrors& errors) {
        if (bad == 0 && !cancel) return errors.what();
      }
    }
    if (dice.integer(0, 1)) pool.put(std::tuple(full({}, 1), 0));  // a round that is never full
  }
  return std::chrono::steady_clock::now() - begin < std::chrono::seconds(20) ? "" : "it took too long";
}

struct Net : nn::Module {
  nn::Conv2d conv{2, 4, {.kernel = 3, .padding = 1}};
  nn::BatchNorm2d norm{4, {.relu = true, .sync = true}};
  nn::Conv2d head{4, 2, {.kernel = 1}};
  WEFT_MEMBERS(conv, norm, head)
  Tensor forward(const Tensor& x) const { return head(norm(conv(x))); }
};

std::vector<std::vector<float>> train(Net& net, const std::vector<Device>& devices, const Tensor& x, const Tensor& y) {
  const DataParallelModel model(net, devices, wrapped());
  const DataParallelCriterion criterion(nn::MSELoss(), devices, wrapped());
  Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.05, .momentum = 0.5}));
  for (int step = 0; step < 15; ++step) {
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(x), y);
    }
    parallel_backward(losses);
    trainer.step();
  }
  std::vector<std::vector<float>> values;
  for (const nn::Parameter& p : net.parameters()) values.push_back(p.at(p.places() - 1).to_vector<float>());
  return values;
}

// Namespace scope, as programs have them.
std::optional<Parallel<int, int>> global_pool, global_busy_pool;
std::optional<DataParallelModel<Net>> global_model;

}  // namespace

CHILD(live_pools_at_exit) {
  global_pool.emplace(2, [](int i) { return i; });
  global_pool->put(1);
  global_busy_pool.emplace(1, [](int) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return 0;
  });
  for (int i = 0; i < 50; ++i) global_busy_pool->put(i);  // one runs, the rest is dropped
  static Net net;
  global_model.emplace(net, devices_here(3), wrapped());
  (*global_model)(ones({3, 2, 4, 4}));
}
CHILD(exit_with_ranks_that_wait) {
  global_pool.emplace(
      2, [](int) { return all_reduce(ones({1})).item<int>(); }, ParallelOptions{.serial_init = false});
  global_pool->put(1);  // its partner never comes
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  std::exit(0);
}

TEST_SUITE("parallel/pool under random use") {
  TEST_CASE("random workloads give what a serial oracle says") {
    const uint64_t seed = seed_for("pool workloads");
    for (int k = 0; k < workloads; ++k) {
      CAPTURE(k);
      const std::string wrong = Workload(seed + static_cast<uint64_t>(k)).run();
      REQUIRE(wrong == "");
    }
  }

  TEST_CASE("random rounds whose ranks meet: right sums, or an error at once") {
    const uint64_t seed = seed_for("pool rounds");
    for (int k = 0; k < workloads / 20; ++k) {
      CAPTURE(k);
      const std::string wrong = random_rounds(seed + static_cast<uint64_t>(k));
      REQUIRE(wrong == "");
    }
  }

  TEST_CASE("two items of a round for one worker cannot meet: an error at once") {
    if (!distinct_or_skip(2)) return;  // else there are two workers for the one device
    Parallel<Tensor, int> pool(2, [](const Tensor& x) { return all_reduce(x).item<int>(); },
                               {.serial_init = false, .devices = devices_here(2)});
    for (int i = 0; i < 2; ++i) pool.put(ones({1}, {.device = device_here(0)}));
    CHECK_THROWS_AS(pool.get(), CommError);
    CHECK_THROWS_AS(pool.get(), CommError);
  }

  TEST_CASE("puts and gets from several threads") {
    Parallel<int, int> pool(2, [](int i) { return i; }, {.capacity = 8});
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 100; ++i) good += pool.get(pool.put(1000 * t + i)) == 1000 * t + i;
      });
    for (std::thread& thread : threads) thread.join();
    CHECK(good == 400);
  }

  TEST_CASE("processes end with live pools and models at namespace scope") {
    for (const char* name : {"live_pools_at_exit", "exit_with_ranks_that_wait"}) {
      const ChildResult result = run_child(name, 25);
      CHECK_MESSAGE(result.status == 0, name, " ", result.output);
      CHECK(result.output.empty());
    }
  }

  TEST_CASE("two models are trained from two threads at once, on the same devices, with the bits of one alone") {
    seed(3);
    const Tensor x = randn({6, 2, 5, 5}), y = randn({6, 2, 5, 5});
    for (const int n : {2, 3}) {
      Net alone[2], together[2];
      std::vector<std::vector<float>> expected[2], found[2];
      for (int i = 0; i < 2; ++i) together[i].copy_from(alone[i]);
      for (int i = 0; i < 2; ++i) expected[i] = train(alone[i], devices_here(n), x, y);
      std::thread other([&] { found[1] = train(together[1], devices_here(n), x, y); });
      found[0] = train(together[0], devices_here(n), x, y);
      other.join();
      CHECK(found[0] == expected[0]);
      CHECK(found[1] == expected[1]);
    }
  }
}
