#include "weft/tensor/seconds.h"

#include <doctest/doctest.h>

#include <limits>

#include "weft/tensor/deadline.h"
#include "weft/weft.h"

using namespace weft;
using namespace std::chrono_literals;

TEST_SUITE("seconds") {
  TEST_CASE("come from numbers and from durations of any unit") {
    CHECK(Seconds(2).count() == 2);
    CHECK(Seconds(0.25).count() == 0.25);
    CHECK(Seconds(50ms).count() == doctest::Approx(0.05));
    CHECK(Seconds(3min).count() == 180);
    CHECK(Seconds(std::chrono::duration<float>(1.5F)).count() == 1.5);
    CHECK(GroupOptions{.deadline = 1h}.deadline.count() == 3600);
    CHECK(parallel::DataParallelOptions{.deadline = 5}.deadline.count() == 5);
    CHECK(parallel::ParallelOptions{.deadline = 10us}.deadline.count() == doctest::Approx(1e-5));
  }

  TEST_CASE("as a wait they are bounded on both sides") {
    CHECK(detail::to_chrono(0.5) == 500ms);
    CHECK(detail::to_chrono(std::numeric_limits<double>::infinity()) == 1'000'000'000s);
    CHECK(detail::to_chrono(-1) == 0s);
    CHECK(detail::to_chrono(std::numeric_limits<double>::quiet_NaN()) == 0s);
    CHECK(std::chrono::steady_clock::now() + detail::to_chrono(1e300) > std::chrono::steady_clock::now());
  }
}
