// The simulator's part of the common main(): after every test case all queued work runs, and a report fails the case.
#include <doctest/doctest.h>

#include <cstdio>

#include "tests/cuda_sim/sim.h"
#include "tests/support/child.h"
#include "tests/support/hooks.h"

std::string weft_test_after_case() {
  weft::sim::run_all();
  std::string text;
  for (const std::string& report : weft::sim::take_reports()) text += (text.empty() ? "" : "\n  ") + report;
  return text;
}

void weft_test_fail_allocations(int device, int64_t nth, int64_t count) {
  weft::sim::clear_faults();
  weft::sim::inject({.kind = weft::sim::FaultKind::malloc,
                     .device = device,
                     .nth = nth,
                     .count = count,
                     .code = cudaErrorMemoryAllocation});
}

int64_t weft_test_failed_allocations() {
  const int64_t failed = weft::sim::fired(weft::sim::FaultKind::malloc);
  weft::sim::clear_faults();
  return failed;
}

namespace {

struct Listener : doctest::IReporter {
  explicit Listener(const doctest::ContextOptions&) {}
  void test_run_end(const doctest::TestRunStats&) override {
    std::printf("simulated: %lld kernels on %d devices, policy %s, seed %llu\n",
                static_cast<long long>(weft::sim::kernels_run()), weft::sim::device_count(),
                weft::sim::schedule().policy.c_str(), static_cast<unsigned long long>(weft::sim::schedule().seed));
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};

}  // namespace

REGISTER_LISTENER("simulator", 1, Listener);

using namespace weft::test;

TEST_CASE("main: leaves a report of the simulator" * doctest::skip()) { weft::sim::report("planted"); }

TEST_CASE("main: a report of the simulator fails the case") {
  CHECK(simulated());
  const ChildResult result = run_self({"--no-skip", "--test-case=main: leaves a report of the simulator"});
  CHECK(result.status == 1);
  CHECK(result.output.find("FAILED after the case 'main: leaves a report of the simulator': planted") !=
        std::string::npos);
}
