// On a GPU: what cuDNN's plans compute against weft's plain kernels, which add up in double.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/hooks.h"
#include "weft/cuda/options.h"
#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/ops/matmul.h"
#include "weft/tensor/random.h"
#include "weft/tensor/tensor.h"
#include "weft/tensor/tuning.h"

using namespace weft;

namespace {

struct Case {
  const char* name;
  int64_t c, size, o, kernel;
  Conv2dGeometry geometry;
};

const Case cases[] = {
    {"7x7 stem", 3, 96, 64, 7, {.stride = 2, .padding = 3}},
    {"3x3", 64, 30, 64, 3, {.padding = 1}},
    {"3x3 s2", 64, 31, 96, 3, {.stride = 2, .padding = 1}},
    {"3x3 d2", 64, 30, 64, 3, {.padding = 2, .dilation = 2}},
    {"3x3 d12", 64, 30, 32, 3, {.padding = 12, .dilation = 12}},
    {"classes", 128, 30, 21, 1, {}},
    {"depthwise", 64, 30, 64, 3, {.padding = 1, .groups = 64}},
    {"depthwise s2 d2", 96, 31, 96, 3, {.stride = 2, .padding = 2, .dilation = 2, .groups = 96}},
    {"8 groups", 64, 30, 64, 3, {.padding = 1, .groups = 8}},
    {"padding behind", 32, 30, 32, 3, {.stride = 2, .padding = Padding(0, 1, 0, 1)}},
    {"7 channels", 7, 13, 5, 3, {.padding = 1}},
};

// What the sums of products may be off, as a share of the largest result. 16-bit results are rounded twice with a bias.
double tolerance(DType dtype, bool tf32) {
  switch (dtype) {
    case DType::f64:
      return 1e-13;
    case DType::f32:
      return tf32 ? 2e-3 : 1e-5;
    case DType::f16:
      return 2e-3;
    default:
      return 1.6e-2;
  }
}

std::vector<Tensor> passes(const Case& c, const Tensor& x, const Tensor& w, const Tensor& bias) {
  const Tensor y = ops::conv2d(x, w, bias, c.geometry);
  return {y, ops::conv2d_input_gradient(y, w, x.shape(), c.geometry),
          ops::conv2d_weight_gradient(x, y, w.shape(), c.geometry)};
}

double largest_difference(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double difference = 0, scale = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    difference = std::max(difference, std::abs(x[i] - y[i]));
    scale = std::max(scale, std::abs(y[i]));
  }
  return difference / scale;
}

// Options as they were at the end of the scope.
struct KeepOptions {
  bool tf32 = allow_tf32();
  ~KeepOptions() {
    set_allow_tf32(tf32);
    cuda::set_plain_convolution(false);
    set_timed_plans(1);
  }
};

}  // namespace

TEST_CASE("conv2d on a GPU: plans and plain kernels agree, and plans repeat their bits") {
  if (!test::cuda_or_skip()) return;
  const KeepOptions keep;
  const Device device(DeviceType::cuda, 0);
  for (const Case& c : cases)
    for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16})
      for (const bool tf32 : {false, true}) {
        if (tf32 && dtype != DType::f32) continue;
        const TensorOptions options = {.dtype = dtype, .device = device};
        const Tensor x = randn({4, c.c, c.size, c.size}, options);
        const Tensor w = randn({c.o, c.c / c.geometry.groups, c.kernel, c.kernel}, options, 0, 0.1);
        const Tensor bias = randn({c.o}, options);
        set_allow_tf32(tf32);
        const std::vector<Tensor> planned = passes(c, x, w, bias), again = passes(c, x, w, bias);
        cuda::set_plain_convolution(true);
        // The gradients start from the same y.
        const Tensor y = ops::conv2d(x, w, bias, c.geometry);
        const std::vector<Tensor> plain = {y, ops::conv2d_input_gradient(planned[0], w, x.shape(), c.geometry),
                                           ops::conv2d_weight_gradient(x, planned[0], w.shape(), c.geometry)};
        cuda::set_plain_convolution(false);
        for (size_t pass = 0; pass < 3; ++pass) {
          INFO(c.name, ", pass ", pass, ", ", tf32 ? "tf32" : name_of(dtype));
          CHECK(largest_difference(planned[pass], plain[pass]) < tolerance(dtype, tf32));
          CHECK(planned[pass].to_vector<double>() == again[pass].to_vector<double>());
        }
      }
}

TEST_CASE("conv2d on a GPU: a ReLU in a plan or after it is that of the plain kernels, and keeps NaN") {
  if (!test::cuda_or_skip()) return;
  const KeepOptions keep;
  const Device device(DeviceType::cuda, 0);
  for (const Case& c : cases)
    for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16})
      for (const bool with_bias : {false, true}) {
        INFO(c.name, ", ", name_of(dtype), with_bias ? ", bias" : "");
        const TensorOptions options = {.dtype = dtype, .device = device};
        const Tensor x = randn({4, c.c, c.size, c.size}, options);
        const Tensor w = randn({c.o, c.c / c.geometry.groups, c.kernel, c.kernel}, options, 0, 0.1);
        const Tensor bias = with_bias ? randn({c.o}, options) : Tensor();
        const Tensor planned = ops::conv2d(x, w, bias, c.geometry, true);
        cuda::set_plain_convolution(true);
        const Tensor plain = ops::conv2d(x, w, bias, c.geometry, true);
        cuda::set_plain_convolution(false);
        CHECK(largest_difference(planned, plain) < tolerance(dtype, false));
        const double nan = std::numeric_limits<double>::quiet_NaN();
        const Tensor lost = ops::conv2d(x, full(w.shape(), nan, options), bias, c.geometry, true);
        CHECK(std::isnan(lost.to_vector<double>()[0]));
      }
}

TEST_CASE("conv2d on a GPU: the fastest of timed plans computes the same, and again when its choice is loaded") {
  if (!test::cuda_or_skip()) return;
  const KeepOptions keep;
  const Device device(DeviceType::cuda, 0);
  for (const Case& c : cases)
    for (const DType dtype : {DType::f32, DType::f16}) {
      INFO(c.name, ", ", name_of(dtype));
      const TensorOptions options = {.dtype = dtype, .device = device};
      const Tensor x = randn({5, c.c, c.size, c.size}, options);
      const Tensor w = randn({c.o, c.c / c.geometry.groups, c.kernel, c.kernel}, options, 0, 0.1);
      const Tensor bias = randn({c.o}, options);
      set_timed_plans(4);
      const std::vector<Tensor> timed = passes(c, x, w, bias);
      const std::string choices = tuned_choices();
      CHECK(choices.find(" 5x" + std::to_string(c.c) + "x") != std::string::npos);
      set_timed_plans(1);
      load_tuned_choices(choices);
      const std::vector<Tensor> again = passes(c, x, w, bias);
      CHECK(tuned_choices() == choices);
      cuda::set_plain_convolution(true);
      const Tensor plain = ops::conv2d(x, w, bias, c.geometry);
      cuda::set_plain_convolution(false);
      CHECK(largest_difference(timed[0], plain) < tolerance(dtype, false));
      for (size_t pass = 0; pass < 3; ++pass) CHECK(timed[pass].to_vector<double>() == again[pass].to_vector<double>());
    }
}
