// Against PyTorch: cases/optim.py.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/npz.h"
#include "tests/support/paths.h"
#include "weft/nn/optim/optimizer.h"
#include "weft/nn/optim/schedule.h"
#include "weft/tensor/operators.h"

using namespace weft;
using namespace weft::nn::optim;

namespace {

void check_close(const std::vector<double>& found, const test::Array& expected, const std::string& name) {
  CAPTURE(name);
  REQUIRE(static_cast<int64_t>(found.size()) == expected.numel());
  for (size_t i = 0; i < found.size(); ++i)
    CHECK(std::fabs(found[i] - expected.values[i]) <= 1e-7 + 1e-6 * std::fabs(expected.values[i]));
}

std::vector<double> twenty_steps(const Optimizer& optimizer) {
  constexpr int64_t n = 37;
  const Tensor value = arange(0, n, 1, {.dtype = DType::f64}) * 0.1;
  std::vector<Tensor> state = optimizer.make_state(value);
  for (int step = 1; step <= 20; ++step) {
    std::vector<double> g;
    for (int64_t i = 0; i < n; ++i) g.push_back(std::sin(0.7 * step + 0.3 * static_cast<double>(i)));
    const Update update{value, tensor(g, {n}), state};
    optimizer.apply(std::span(&update, 1), step, 1);
  }
  return value.to_vector<double>();
}

}  // namespace

TEST_CASE("golden: optimizers") {
  const auto file = test::read_npz(test::source_path("tests/golden/optim.npz"));
  const auto check = [&](const std::string& name, const Optimizer& optimizer) {
    check_close(twenty_steps(optimizer), file.at(name + "/w").values, name);
  };
  CHECK(file.size() == 6);
  check("sgd", SGD({.lr = 0.05, .momentum = 0.9, .weight_decay = 0.01}));
  check("nesterov", SGD({.lr = 0.05, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true}));
  check("adam", Adam({.lr = 0.02, .weight_decay = 0.1}));
  check("adamw", AdamW({.lr = 0.02, .weight_decay = 0.1}));
  check("rmsprop", RMSprop({.lr = 0.02, .alpha = 0.9, .weight_decay = 0.1}));
  check("rmsprop_all", RMSprop({.lr = 0.02, .weight_decay = 0.1, .momentum = 0.7, .centered = true}));
}

TEST_CASE("golden: schedules") {
  const auto file = test::read_npz(test::source_path("tests/golden/schedule.npz"));
  const auto check = [&](const std::string& name, const Schedule& schedule) {
    const test::Array& expected = file.at(name + "/lr").values;
    std::vector<double> found;
    for (int64_t step = 0; step < expected.numel(); ++step) found.push_back(schedule(step));
    check_close(found, expected, name);
  };
  CHECK(file.size() == 6);
  check("step", step(0.2, 6, 0.5));
  check("multi_step", multi_step(0.2, {3, 9, 10}, 0.5));
  check("cosine", cosine(0.2, {.steps = 20, .final = 0.05}));
  check("one_cycle", one_cycle(0.5, {.steps = 41}));
  check("one_cycle_linear", one_cycle(0.5, {.steps = 41, .rising = 0.4, .cosine = false}));
  check("warm_up", warm_up(5, step(0.2, 6, 0.5), 0.05));
}
