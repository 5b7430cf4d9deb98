#include "weft/tensor/group.h"

#include <doctest/doctest.h>

#include <thread>

#include "tests/parallel/devices.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;

namespace {

// Runs f(rank) on a thread per rank; texts of what was thrown, "" for success.
std::vector<std::string> run(int ranks, const std::function<void(int)>& f) {
  std::vector<std::string> texts(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      try {
        f(rank);
      } catch (const std::exception& error) {
        texts[static_cast<size_t>(rank)] = error.what();
      }
    });
  for (std::thread& thread : threads) thread.join();
  return texts;
}

// Everybody gets the concatenation of what all brought.
std::vector<Tensors> everything(std::span<const Tensors> deposits) {
  Tensors all;
  for (const Tensors& tensors : deposits) all.insert(all.end(), tensors.begin(), tensors.end());
  return std::vector<Tensors>(deposits.size(), all);
}

}  // namespace

TEST_SUITE("parallel/group") {
  TEST_CASE("the last rank to arrive acts for all, in order of rank, again and again") {
    Group group(devices_here(3));
    std::atomic<int> acts{0};
    const auto texts = run(3, [&](int rank) {
      for (int round = 0; round < 200; ++round) {
        const Tensors all = group.meet(rank, "exchange", {full({}, rank * 1000 + round)}, [&](auto deposits) {
          ++acts;
          return everything(deposits);
        });
        for (int r = 0; r < 3; ++r)
          if (all[static_cast<size_t>(r)].item<int>() != r * 1000 + round) throw Error("wrong value");
      }
    });
    CHECK(texts == std::vector<std::string>(3));
    CHECK(acts == 200);
  }

  TEST_CASE("ranks that disagree all learn who said what") {
    Group group(devices_here(2));
    const auto texts = run(2, [&](int rank) {
      group.meet(rank, rank ? "broadcast float32[4]" : "all_reduce float32[4]", {}, everything);
    });
    const std::string expected =
        "collective #0: ranks disagree: rank 0 all_reduce float32[4], rank 1 broadcast float32[4]; every rank must "
        "call the "
        "same collectives in the same order";
    CHECK(texts == std::vector<std::string>{expected, expected});
  }

  TEST_CASE("a rank that failed or returned fails the others at once") {
    for (const bool failed : {true, false}) {
      Group group(devices_here(3));
      const auto texts = run(3, [&](int rank) {
        if (rank == 1) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          group.leave(1, failed ? std::make_exception_ptr(Error("broken")) : nullptr);
          return;
        }
        group.meet(rank, "all_reduce", {}, everything);
      });
      CHECK(texts[1] == "");
      for (const size_t rank : {0, 2})
        CHECK(texts[rank].find(said_here(failed ? "rank 1 on cpu:1 failed before it arrived"
                                                : "rank 1 on cpu:1 returned without arriving")) != std::string::npos);
    }
  }

  TEST_CASE("what the joint work throws reaches every rank, and the group goes on") {
    Group group(devices_here(2));
    std::atomic<int> good{0};
    const auto texts = run(2, [&](int rank) {
      try {
        group.meet(rank, "sum", {}, [](auto) -> std::vector<Tensors> { throw ShapeError("sum: shapes differ"); });
      } catch (const ShapeError&) {
        ++good;
      }
      group.meet(rank, "sum", {}, everything);
    });
    CHECK(texts == std::vector<std::string>(2));
    CHECK(good == 2);
  }

  TEST_CASE("a rank that never comes is waited for until the deadline only") {
    Group group(devices_here(2), {.deadline = std::chrono::milliseconds(50)});
    const auto texts = run(1, [&](int rank) { group.meet(rank, "all_reduce", {}, everything); });
    CHECK(texts[0].find("all_reduce #0: only 1 of 2 ranks arrived within") == 0);
  }
}
