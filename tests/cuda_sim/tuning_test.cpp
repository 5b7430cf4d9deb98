// Timing the plans of convolutions on simulated devices, whose engines take as long as a test says.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "tests/cuda_sim/operand.h"
#include "tests/cuda_sim/tuned.h"
#include "weft/tensor/error.h"
#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/ops/cross_entropy.h"
#include "weft/tensor/tensor.h"

using namespace weft;
using namespace weft::test;
using sim::dnn::Engine;

namespace {

// A convolution of its own for each height: what is chosen for one lasts as long as the process.
void convolve(int64_t height, int device = 0) {
  const TensorOptions there{.device = Device(DeviceType::cuda, device)};
  const Tensor y = ops::conv2d(full({2, 3, height, 4}, 2, there), full({2, 3, 1, 1}, 1, there), Tensor());
  const std::vector<float> values = y.to_vector<float>();
  CHECK(std::count(values.begin(), values.end(), 6.0f) == 2 * 2 * height * 4);
}

// The line about images of these extents.
std::string line_of(const std::string& images) {
  const std::string text = tuned_choices();
  const size_t at = text.find(" " + images + ", ");
  if (at == std::string::npos) return "";
  const size_t start = text.rfind('\n', at) == std::string::npos ? 0 : text.rfind('\n', at) + 1;
  return text.substr(start, text.find('\n', at) + 1 - start);
}
std::string line_of(int64_t height) { return line_of("2x3x" + std::to_string(height) + "x4"); }
std::string with(std::string line, const std::string& from, const std::string& to) {
  REQUIRE(line.find(from) != std::string::npos);
  return line.replace(line.find(from), from.size(), to);
}
bool ends_with(const std::string& line, const std::string& answer) { return line.ends_with("\t" + answer + "\n"); }

}  // namespace

TEST_CASE("tuning: off at first, and nothing is written down") {
  taken();
  convolve(101);
  CHECK(taken() == Runs{1, 0});
  CHECK(line_of(101) == "");
  CHECK_THROWS_AS(set_timed_plans(0), Error);
}

TEST_CASE("tuning: the plan that takes least time is kept") {
  taken();
  {
    const Tuned slow_first(0.3, 0.1);
    convolve(102);
    CHECK(taken() == Runs{timed_runs, timed_runs + 1});
    CHECK(ends_with(line_of(102), "4 engine 0 STRICT_NAN_PROP"));
    convolve(102);
    CHECK(taken() == Runs{0, 1});
  }
  {
    const Tuned slow_second(0.1, 0.3);
    convolve(103);
    CHECK(taken() == Runs{timed_runs + 1, timed_runs});
    CHECK(ends_with(line_of(103), "3 engine 28"));
  }
  {
    const Tuned none(0.3, 0.1, 1);
    convolve(104);
    CHECK(taken() == Runs{1, 0});
  }
  convolve(102);  // a choice outlives the option
  CHECK(taken() == Runs{0, 1});
}

TEST_CASE("tuning: devices of one kind choose alike, one after the other and at once") {
  taken();
  {
    const Tuned tuned(0.3, 0.1);
    convolve(110, 0);
    CHECK(taken() == Runs{timed_runs, timed_runs + 1});
  }
  {
    const Tuned turned(0.1, 0.3);
    convolve(110, 1);
    CHECK(taken() == Runs{0, 1});
  }
  const Tuned tuned(0.3, 0.1);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([i] { convolve(111, i); });
  for (std::thread& thread : threads) thread.join();
  CHECK(taken() == Runs{timed_runs, timed_runs + 4});
}

TEST_CASE("tuning: a plan made before timing was asked for is chosen again, on every device") {
  taken();
  convolve(112, 0);
  CHECK(taken() == Runs{1, 0});
  const Tuned tuned(0.3, 0.1);
  convolve(112, 1);
  convolve(112, 0);
  CHECK(taken() == Runs{timed_runs, timed_runs + 2});
}

TEST_CASE("tuning: choices that are loaded hold without timing, also for plans made before") {
  taken();
  convolve(120);
  std::string line;
  {
    const Tuned tuned(0.3, 0.1);
    convolve(121);
    line = line_of(121);
  }
  taken();
  load_tuned_choices(with(line, "x121x", "x120x"));
  convolve(120);
  CHECK(taken() == Runs{0, 1});
  const Tuned tuned(0.3, 0.1);
  load_tuned_choices(with(line, "4 engine 0 STRICT_NAN_PROP", "3 engine 28"));
  convolve(121);
  CHECK(taken() == Runs{1, 0});
}

TEST_CASE("tuning: a choice of another card or version, or one that does not fit, is not taken") {
  const Tuned tuned(0.1, 0.3);
  convolve(130);
  const std::string naive = with(line_of(130), "3 engine 28", "4 engine 0 STRICT_NAN_PROP");
  taken();
  const auto expect_timing = [&](int64_t height, const std::string& line) {
    load_tuned_choices(with(line, "x130x", "x" + std::to_string(height) + "x"));
    convolve(height);
    CHECK(taken() == Runs{timed_runs + 1, timed_runs});
  };
  expect_timing(131, with(naive, "multiprocessors", "halves of multiprocessors"));
  expect_timing(132, with(naive, "cuDNN ", "cuDNN 1"));
  expect_timing(133, with(naive, "engine 0", "engine 7"));
  expect_timing(134, with(naive, "4 engine", "1 engine"));
  expect_timing(135, with(naive, "4 engine", "99 engine"));
  expect_timing(136, with(naive, "4 engine", "engine"));
  CHECK(ends_with(line_of(133), "3 engine 28"));
}

TEST_CASE("tuning: what fails in a trial is passed over; if all fail, the first plan is taken") {
  taken();
  const Tuned tuned(0.1, 0.3);
  const auto fail = [](sim::FaultKind kind, int64_t nth, int64_t count, int code) {
    sim::clear_faults();
    sim::inject({.kind = kind, .nth = nth, .count = count, .code = code});
  };
  // Consulted before the trial: the handle is there, and a plan is made of three configurations, of which one refuses.
  fail(sim::FaultKind::cudnn, 3, 1, CUDNN_STATUS_EXECUTION_FAILED);
  convolve(140);
  CHECK(sim::fired(sim::FaultKind::cudnn) == 1);
  CHECK(taken() == Runs{0, timed_runs + 1});
  fail(sim::FaultKind::event, 0, 1, cudaErrorMemoryAllocation);
  convolve(141);
  CHECK(sim::fired(sim::FaultKind::event) == 1);
  CHECK(ends_with(line_of(141), "4 engine 0 STRICT_NAN_PROP"));
  taken();
  fail(sim::FaultKind::event, 0, 2, cudaErrorMemoryAllocation);
  convolve(142);
  CHECK(taken() == Runs{1, 0});
  CHECK(ends_with(line_of(142), "3 engine 28"));
}

TEST_CASE("tuning: a bad label of before is thrown, not taken for a plan that fails") {
  const Tuned tuned(0.3, 0.1);
  const Device cuda0("cuda:0");
  const TensorOptions there{.dtype = DType::f16, .device = cuda0};
  const Tensor x = full({1, 2, 160, 4}, 1, there), w = full({2, 2, 1, 1}, 1, there), bias = full({2}, 1, there);
  const Tensor labels = tensor(std::vector<int64_t>{0, 9}, {2}, cuda0);
  ops::cross_entropy(zeros({2, 4}, {.device = cuda0}), labels, Tensor(), {});
  CHECK_THROWS_AS(ops::conv2d(x, w, bias, {}, true), IndexError);
  const std::vector<float> values = ops::conv2d(x, w, bias, {}, true).to_vector<float>();
  CHECK(std::count(values.begin(), values.end(), 3.0f) == 2 * 160 * 4);
}

TEST_CASE("tuning: of plans with a ReLU such as lose NaN are not taken, chosen here or loaded") {
  const Tuned tuned(0.3, 0.1);
  const TensorOptions there{.dtype = DType::f16, .device = Device(DeviceType::cuda, 0)};
  const auto convolve_f16 = [&](int64_t height) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Tensor x = full({1, 2, height, 4}, 1, there), w = full({2, 2, 1, 1}, -1, there);
    const std::vector<float> zeros = ops::conv2d(x, w, full({2}, 1, there), {}, true).to_vector<float>();
    CHECK(std::count(zeros.begin(), zeros.end(), 0.0f) == 2 * height * 4);
    const std::vector<float> nans = ops::conv2d(x, w, full({2}, nan, there), {}, true).to_vector<float>();
    CHECK(std::all_of(nans.begin(), nans.end(), [](float value) { return std::isnan(value); }));
  };
  sim::dnn::set_engine_seconds(Engine::rounding, 0.2);
  convolve_f16(170);
  const std::string fused = line_of("1x2x170x4");
  CHECK(fused.find("+ bias + relu") != std::string::npos);
  CHECK(ends_with(fused, "4 engine 0 STRICT_NAN_PROP"));
  sim::dnn::lose_nan(true);
  convolve_f16(171);
  const std::string apart = line_of("1x2x171x4");
  CHECK(apart.find("+ bias, ") != std::string::npos);
  CHECK(ends_with(apart, "4 engine 0 STRICT_NAN_PROP"));
  load_tuned_choices(with(fused, "x170x", "x172x"));
  convolve_f16(172);
  sim::dnn::lose_nan(false);
  sim::dnn::set_engine_seconds(Engine::rounding, 0);
}

TEST_CASE("tuning: a lost device ends the trial, and others choose without it") {
  const Tuned tuned(0.3, 0.1);
  convolve(150, 1);  // has a context
  sim::clear_faults();
  sim::inject({.kind = sim::FaultKind::device_lost, .device = 0, .nth = 12, .code = cudaErrorIllegalAddress});
  CHECK_THROWS_AS(convolve(151, 0), DeviceLost);
  sim::clear_faults();
  convolve(151, 1);
  CHECK(ends_with(line_of(151), "4 engine 0 STRICT_NAN_PROP"));
  test::fresh_devices();
}
