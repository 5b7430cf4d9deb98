// The simulator's part of the common main(): after every test case all queued work runs, and a report fails the case.
#include <doctest/doctest.h>

#include "tests/cuda_sim/sim.h"
#include "tests/support/child.h"
#include "tests/support/hooks.h"

std::string weft_test_after_case() {
  weft::sim::run_all();
  std::string text;
  for (const std::string& report : weft::sim::take_reports()) text += (text.empty() ? "" : "\n  ") + report;
  return text;
}

using namespace weft::test;

TEST_CASE("main: leaves a report of the simulator" * doctest::skip()) { weft::sim::report("planted"); }

TEST_CASE("main: a report of the simulator fails the case") {
  CHECK(simulated());
  const ChildResult result = run_self({"--no-skip", "--test-case=main: leaves a report of the simulator"});
  CHECK(result.status == 1);
  CHECK(result.output.find("FAILED after the case 'main: leaves a report of the simulator': planted") !=
        std::string::npos);
}
