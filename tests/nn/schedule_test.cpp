// Schedules: gluon-cv's poly values; PyTorch's are in tests/golden.
#include "weft/nn/optim/schedule.h"

#include <doctest/doctest.h>

#include <cmath>

#include "weft/tensor/error.h"

using namespace weft;
using namespace weft::nn::optim;

TEST_SUITE("nn/schedule") {
  TEST_CASE("poly: the values of a training of 1000 steps") {
    const Schedule lr = poly(1e-3, {.steps = 1000});
    CHECK(lr(0) == 1e-3);
    CHECK(lr(1) == doctest::Approx(9.99099e-4).epsilon(1e-6));
    CHECK(lr(250) == doctest::Approx(7.71658e-4).epsilon(1e-6));
    CHECK(lr(500) == doctest::Approx(5.35404e-4).epsilon(1e-6));
    CHECK(lr(998) == doctest::Approx(1.997e-6).epsilon(1e-3));
    CHECK(lr(999) == 0);
    CHECK(lr(5000) == 0);
    CHECK(lr(-3) == 1e-3);
    CHECK(poly(1, {.steps = 11, .power = 2, .final = 0.5})(5) == doctest::Approx(0.5 + 0.5 * 0.25));
  }

  TEST_CASE("both ends of linear and cosine; a training of one step") {
    for (const Schedule& lr : {linear(2, {.steps = 5, .final = 1}), cosine(2, {.steps = 5, .final = 1})}) {
      CHECK(lr(0) == 2);
      CHECK(lr(2) == doctest::Approx(1.5));
      CHECK(lr(4) == doctest::Approx(1));
      CHECK(lr(40) == doctest::Approx(1));
    }
    CHECK(linear(2, {.steps = 5, .final = 1})(1) == doctest::Approx(1.75));
    CHECK(cosine(2, {.steps = 5, .final = 1})(1) == doctest::Approx(1.5 + 0.5 * std::sqrt(0.5)));
    CHECK(linear(2, {.steps = 1})(0) == 2);
  }

  TEST_CASE("steps and milestones") {
    const Schedule s = step(1, 3, 0.5), m = multi_step(1, {2, 4, 4}, 0.5);
    const double s_expected[] = {1, 1, 1, 0.5, 0.5, 0.5, 0.25}, m_expected[] = {1, 1, 0.5, 0.5, 0.125, 0.125, 0.125};
    for (int i = 0; i < 7; ++i) {
      CHECK(s(i) == s_expected[i]);
      CHECK(m(i) == m_expected[i]);
    }
  }

  TEST_CASE("warm-up runs into the schedule that follows; sequences count anew") {
    const Schedule lr = warm_up(4, poly(0.8, {.steps = 10}), 0.4);
    CHECK(lr(0) == 0.4);
    CHECK(lr(3) == doctest::Approx(0.7));
    CHECK(lr(4) == 0.8);
    CHECK(lr(9) == poly(0.8, {.steps = 10})(5));
    CHECK(warm_up(0, constant(3))(0) == 3);
    const Schedule two = sequence({{2, linear(1, {.steps = 2})}, {0, constant(9)}, {3, constant(5)}}, step(7, 2, 0.1));
    const double expected[] = {1, 0, 5, 5, 5, 7, 7, 0.7};
    for (int i = 0; i < 8; ++i) CHECK(two(i) == doctest::Approx(expected[i]));
  }

  TEST_CASE("what cannot be a schedule") {
    CHECK_THROWS_WITH(poly(1, {}), "poly: 0 steps; give the number of steps of the training");
    CHECK_THROWS_AS(multi_step(1, {4, 2}), Error);
    CHECK_THROWS_AS(one_cycle(1, {.steps = 10, .rising = 1}), Error);
    CHECK_THROWS_AS(sequence({{-1, constant(1)}}, constant(1)), Error);
  }
}
