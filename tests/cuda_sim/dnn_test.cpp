// Convolutions on simulated devices: plans, plain kernels, and what the simulated cuDNN says to a wrong call.
#include "weft/cuda/dnn.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

#include "tests/cuda_sim/fake_cudnn.h"
#include "tests/cuda_sim/operand.h"
#include "tests/cuda_sim/sim.h"
#include "weft/cuda/leased.h"
#include "weft/cuda/options.h"
#include "weft/tensor/error.h"
#include "weft/tensor/tuning.h"

using namespace weft;
using test::fresh_devices;
using test::Operand;
using test::reported;
using test::whole_numbers;

namespace {

const Stream stream0{Device(DeviceType::cuda, 0), 0};

struct Geometry {
  int64_t n = 2, c = 3, h = 6, w = 5, o = 4, kh = 3, kw = 3, stride = 1, dilation = 1, groups = 1;
  int64_t top = 1, bottom = 1, left = 1, right = 1;
};

const Geometry geometries[] = {
    {},
    {.kh = 1, .kw = 1, .top = 0, .bottom = 0, .left = 0, .right = 0},
    {.h = 7, .kh = 3, .kw = 2, .stride = 2, .top = 0, .bottom = 1, .left = 1, .right = 0},
    {.h = 8, .w = 9, .dilation = 2, .top = 2, .bottom = 2, .left = 2, .right = 2},
    {.c = 4, .o = 6, .groups = 2},
    {.c = 4, .o = 4, .stride = 2, .groups = 4},
    {.n = 1, .c = 1, .h = 3, .w = 3, .o = 1, .top = 0, .bottom = 0, .left = 0, .right = 0},
    {.kh = 2, .kw = 2, .stride = 3, .top = 0, .bottom = 0, .left = 0, .right = 0},  // rows that no output reads
};

Conv2dArgs arguments(const Geometry& g, ConvPass pass, DType dtype) {
  const auto out = [&](int64_t in, int64_t before, int64_t behind, int64_t k) {
    return (in + before + behind - g.dilation * (k - 1) - 1) / g.stride + 1;
  };
  Conv2dArgs a = {};
  a.pass = pass, a.dtype = dtype;
  a.n = g.n, a.c = g.c, a.h = g.h, a.w = g.w;
  a.o = g.o, a.kh = g.kh, a.kw = g.kw;
  a.oh = out(g.h, g.top, g.bottom, g.kh), a.ow = out(g.w, g.left, g.right, g.kw);
  a.groups = g.groups;
  a.stride_h = a.stride_w = g.stride, a.dilation_h = a.dilation_w = g.dilation;
  a.top = g.top, a.bottom = g.bottom, a.left = g.left, a.right = g.right;
  return a;
}

// Operands of one convolution on the host, and what it must give.
struct Case {
  Conv2dArgs args;
  std::vector<double> x, w, y, bias;  // the pass's result among them
};

Case make_case(const Geometry& g, ConvPass pass, DType dtype, bool with_bias) {
  Case c{.args = arguments(g, pass, dtype), .x = {}, .w = {}, .y = {}, .bias = {}};
  const Conv2dArgs& a = c.args;
  const int64_t in = a.c / a.groups, out = a.o / a.groups;
  c.x = whole_numbers(a.n * a.h * a.w * a.c, 1);
  c.w = whole_numbers(a.o * a.kh * a.kw * in, 2);
  c.y = whole_numbers(a.n * a.oh * a.ow * a.o, 3);
  if (with_bias) c.bias = whole_numbers(a.o, 4);
  std::vector<double>& result = pass == ConvPass::forward ? c.y : pass == ConvPass::data ? c.x : c.w;
  std::fill(result.begin(), result.end(), 0);
  for (int64_t t = 0; t < a.n * a.oh * a.ow * a.o; ++t) {
    const int64_t o = t % a.o, j = t / a.o % a.ow, i = t / (a.o * a.ow) % a.oh, n = t / (a.o * a.ow * a.oh);
    if (with_bias && pass == ConvPass::forward) c.y[static_cast<size_t>(t)] = c.bias[static_cast<size_t>(o)];
    for (int64_t s = 0; s < a.kh * a.kw * in; ++s) {
      const int64_t k = s % in, q = s / in % a.kw, p = s / (in * a.kw);
      const int64_t h = i * a.stride_h + p * a.dilation_h - a.top, v = j * a.stride_w + q * a.dilation_w - a.left;
      if (h < 0 || h >= a.h || v < 0 || v >= a.w) continue;
      double& x = c.x[static_cast<size_t>(((n * a.h + h) * a.w + v) * a.c + o / out * in + k)];
      double& w = c.w[static_cast<size_t>(o * a.kh * a.kw * in + s)];
      double& y = c.y[static_cast<size_t>(t)];
      if (pass == ConvPass::forward) y += x * w;
      if (pass == ConvPass::data) x += w * y;
      if (pass == ConvPass::filter) w += x * y;
    }
  }
  return c;
}

// The device's result of the pass; the other operands are given.
std::vector<double> convolution(const Case& c, Stream stream, int64_t shift = 0) {
  const auto operand = [&](const std::vector<double>& values, bool result) {
    return result ? Operand(std::ssize(values), c.args.dtype, stream, shift)
                  : Operand(values, c.args.dtype, stream, shift);
  };
  const Operand x = operand(c.x, c.args.pass == ConvPass::data), w = operand(c.w, c.args.pass == ConvPass::filter);
  const Operand y = operand(c.y, c.args.pass == ConvPass::forward);
  const Operand bias(c.bias.empty() ? std::vector<double>{0} : c.bias, c.args.dtype, stream, shift);
  Conv2dArgs args = c.args;
  args.x_data = x.data(), args.w_data = w.data(), args.y_data = y.data();
  args.bias = c.bias.empty() ? nullptr : bias.data();
  conv2d_kernel(args, stream);
  return (args.pass == ConvPass::forward ? y : args.pass == ConvPass::data ? x : w).values();
}

const std::vector<double>& expected(const Case& c) {
  return c.args.pass == ConvPass::forward ? c.y : c.args.pass == ConvPass::data ? c.x : c.w;
}

constexpr ConvPass passes[] = {ConvPass::forward, ConvPass::data, ConvPass::filter};

void check_all() {
  for (const Geometry& geometry : geometries)
    for (const ConvPass pass : passes)
      for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16}) {
        const Case c = make_case(geometry, pass, dtype, pass == ConvPass::forward && dtype != DType::f64);
        CAPTURE(cuda::to_string(cuda::describe(c.args, false)));
        CHECK(convolution(c, stream0) == expected(c));
      }
}

cuda::FoundPlan plan(const Conv2dArgs& args, bool nondeterministic = false) {
  const cuda::DeviceScope device(0);
  return cuda::find_plan(cuda::describe(args, nondeterministic), cuda::PlanTarget(cuda::leased<cuda::Dnn>(0).handle()));
}

struct PlainConvolution {
  PlainConvolution() { cuda::set_plain_convolution(true); }
  ~PlainConvolution() { cuda::set_plain_convolution(false); }
};

}  // namespace

TEST_CASE("cuDNN: all passes, geometries and dtypes equal a plain loop") { check_all(); }

TEST_CASE("plain convolution kernels: all passes, geometries and dtypes equal a plain loop") {
  const PlainConvolution plain;
  sim::clear_faults();
  check_all();
  CHECK(sim::consulted(sim::FaultKind::cudnn) == 0);
}

TEST_CASE("cuDNN: the plan keeps the same bits and f32 in f32") {
  using sim::dnn::Engine;
  Conv2dArgs args = arguments({}, ConvPass::filter, DType::f32);
  CHECK(plan(args).plan->engine == Engine::exact);
  CHECK(plan(args).plan->position == 3);
  CHECK(plan(args).plan->notes == "");
  args.allow_tf32 = true;
  CHECK(plan(args).plan->engine == Engine::rounding);
  CHECK(plan(args).plan->notes == "TENSOR_CORE, DOWN_CONVERT_INPUTS");
  CHECK(plan(args, true).plan->engine == Engine::hasty);
  args.dtype = DType::f16;
  CHECK(plan(args).plan->engine == Engine::rounding);
}

TEST_CASE("cuDNN: TF32 and nondeterministic engines run where they are allowed") {
  Case c = make_case(
      {.n = 1, .c = 1, .h = 1, .w = 1, .o = 1, .kh = 1, .kw = 1, .top = 0, .bottom = 0, .left = 0, .right = 0},
      ConvPass::forward, DType::f32, false);
  c.x = {1 + 0x1p-12}, c.w = {1};
  CHECK(convolution(c, stream0)[0] == 1 + 0x1p-12);
  c.args.allow_tf32 = true;
  CHECK(convolution(c, stream0)[0] == 1);

  Case sums = make_case({.n = 8, .h = 8, .w = 8}, ConvPass::filter, DType::f32, false);
  for (double& x : sums.x) x += 0.1;
  const auto once = convolution(sums, stream0);
  CHECK(convolution(sums, stream0) == once);
  set_nondeterministic_convolution(true);
  CHECK(convolution(sums, stream0) != convolution(sums, stream0));
  set_nondeterministic_convolution(false);
  CHECK(convolution(sums, stream0) == once);
}

TEST_CASE("cuDNN: plans are searched for once, and misaligned operands have plans of their own") {
  const Case c = make_case({.n = 3, .h = 9}, ConvPass::forward, DType::f32, false);
  CHECK(convolution(c, stream0) == expected(c));
  sim::clear_faults();
  CHECK(convolution(c, stream0) == expected(c));
  CHECK(sim::consulted(sim::FaultKind::cudnn) == 1);  // the execution
  CHECK(convolution(c, stream0, 1) == expected(c));
  CHECK(sim::consulted(sim::FaultKind::cudnn) > 2);
}

TEST_CASE("cuDNN: a bias is added in the same pass where an engine does that, else by a kernel") {
  const Case fused = make_case({}, ConvPass::forward, DType::f16, true);
  CHECK(convolution(fused, stream0) == expected(fused));
  sim::clear_faults();
  CHECK(convolution(fused, stream0) == expected(fused));
  CHECK(sim::consulted(sim::FaultKind::launch) == 0);
  CHECK(sim::consulted(sim::FaultKind::cudnn) == 1);
  for (const DType dtype : {DType::f16, DType::f64}) {
    const Case grouped = make_case({.c = 4, .o = 6, .groups = 2}, ConvPass::forward, dtype, true);
    CHECK(convolution(grouped, stream0) == expected(grouped));
    sim::clear_faults();
    CHECK(convolution(grouped, stream0) == expected(grouped));
    CHECK(sim::consulted(sim::FaultKind::launch) > 0);
    CHECK(sim::consulted(sim::FaultKind::cudnn) == 1);
  }
}

namespace {

// y = max(y, 0), as the case's convolution must give it.
Case with_relu(Case c) {
  c.args.relu = true;
  for (double& y : c.y) y = y <= 0 ? 0 : y;
  return c;
}

// Executions and launches of a second run, which must give the same as the first.
struct Calls {
  int64_t executions, launches;
  explicit Calls(const Case& c) {
    CHECK(convolution(c, stream0) == expected(c));
    sim::clear_faults();
    CHECK(convolution(c, stream0) == expected(c));
    executions = sim::consulted(sim::FaultKind::cudnn);
    launches = sim::consulted(sim::FaultKind::launch);
  }
};

}  // namespace

TEST_CASE("cuDNN: a ReLU is taken in the same pass where an engine does that, else by a kernel") {
  for (const DType dtype : {DType::f64, DType::f16, DType::bf16}) {
    const Calls fused(with_relu(make_case({.n = 3}, ConvPass::forward, dtype, true)));
    CHECK(fused.executions == 1);
    CHECK(fused.launches == 0);
    const Calls bare(with_relu(make_case({.n = 3}, ConvPass::forward, dtype, false)));
    CHECK(bare.executions == 1);
    CHECK(bare.launches == 1);
    const Calls grouped(with_relu(make_case({.n = 3, .c = 4, .o = 6, .groups = 2}, ConvPass::forward, dtype, true)));
    CHECK(grouped.executions == 1);
    CHECK(grouped.launches > 0);
  }
  const Calls strict(with_relu(make_case({.n = 3}, ConvPass::forward, DType::f32, true)));
  CHECK(strict.launches == 1);  // for both
  const PlainConvolution plain;
  const Calls written_out(with_relu(make_case({.n = 3}, ConvPass::forward, DType::f16, true)));
  CHECK(written_out.launches == 1);
  CHECK(written_out.executions == 0);
}

TEST_CASE("cuDNN: a plan whose ReLU loses NaN is found out, and a kernel takes its place") {
  for (const bool loses : {false, true})
    for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16})
      for (const int64_t groups : {1, 2}) {
        CAPTURE(loses);
        CAPTURE(dtype);
        Case c = with_relu(
            make_case({.n = loses ? 4 : 5, .c = 4, .o = 4, .groups = groups}, ConvPass::forward, dtype, true));
        sim::dnn::lose_nan(loses);
        const Calls calls(c);
        if (dtype == DType::f16 && groups == 1) CHECK(calls.launches == (loses ? 1 : 0));
        c.bias.back() = std::numeric_limits<double>::quiet_NaN();
        const std::vector<double> got = convolution(c, stream0);
        sim::dnn::lose_nan(false);
        for (size_t i = 0; i < got.size(); ++i) {
          if (i % 4 == 3)
            CHECK(std::isnan(got[i]));
          else
            CHECK(got[i] == c.y[i]);
        }
      }
}

TEST_CASE("cuDNN: streams and threads keep workspaces and handles apart under every schedule") {
  const Case c = make_case({}, ConvPass::forward, DType::f32, true);
  const Stream other = Stream::create(Device(DeviceType::cuda, 0));
  const sim::Schedule before = sim::schedule();
  for (const char* policy : {"fifo", "newest", "random", "starve:1", "pct:3"}) {
    sim::set_schedule({.policy = policy, .seed = 7});
    std::vector<double> results[4];
    std::vector<std::thread> threads;
    const Stream streams[4] = {stream0, other, {Device(DeviceType::cuda, 1), 0}, {Device(DeviceType::cuda, 2), 0}};
    for (int i = 0; i < 4; ++i) threads.emplace_back([&, i] { results[i] = convolution(c, streams[i]); });
    for (std::thread& thread : threads) thread.join();
    for (const auto& result : results) CHECK(result == c.y);
  }
  sim::set_schedule(before);
}

TEST_CASE("cuDNN: faults become errors, or another plan, and the next call works") {
  const Case c = make_case({.n = 1, .h = 11}, ConvPass::forward, DType::f32, false);
  sim::clear_faults();
  sim::inject({.kind = sim::FaultKind::cudnn, .nth = 1, .code = CUDNN_STATUS_INTERNAL_ERROR});  // the admitted plan
  CHECK(convolution(c, stream0) == expected(c));
  CHECK(sim::fired(sim::FaultKind::cudnn) == 1);

  sim::clear_faults();
  sim::inject({.kind = sim::FaultKind::cudnn, .code = CUDNN_STATUS_EXECUTION_FAILED});
  CHECK_THROWS_AS(convolution(c, stream0), Error);
  CHECK(convolution(c, stream0) == expected(c));
  sim::inject({.kind = sim::FaultKind::cudnn, .code = CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED});
  CHECK_THROWS_AS(convolution(c, stream0), OutOfMemory);
  CHECK(sim::fired(sim::FaultKind::cudnn) == 2);
  sim::clear_faults();
  CHECK(convolution(c, stream0) == expected(c));
}

namespace {

// Runs a plan of its own with operands that are fine unless another is given.
struct Call {
  void* x = nullptr;
  int64_t less_workspace = 0;  // bytes
  int64_t x_offset = 0;        // bytes

  void operator()() const {
    const Case c = make_case({}, ConvPass::forward, DType::f32, false);
    const cuda::FoundPlan found = plan(c.args);
    const Operand fine(c.x, DType::f32, stream0), w(c.w, DType::f32, stream0), y(std::ssize(c.y), DType::f32, stream0);
    const int64_t bytes = found.plan->workspace - less_workspace;
    const Operand workspace(std::max<int64_t>(bytes / 4, 1), DType::f32, stream0);
    const cuda::DeviceScope device(0);
    const cudnnHandle_t handle = cuda::leased<cuda::Dnn>(0).handle();
    cuda::check(cudnnSetStream(handle, cuda::native(stream0)), "test");
    char* const from = static_cast<char*>(x ? x : fine.data()) + x_offset;
    cuda::run_plan(*found.plan, handle, {from, w.data(), y.data()}, bytes > 0 ? workspace.data() : nullptr);
  }
};

}  // namespace

TEST_CASE("simulated cuDNN: wrong calls are reported") {
  CHECK_NOTHROW(Call{}());
  CHECK_FALSE(reported(""));
  CHECK_THROWS_AS(Call{.less_workspace = 1 << 20}(), Error);
  CHECK(reported("no workspace for a plan that needs one"));
  CHECK_THROWS_AS(Call{.x_offset = 4}(), Error);
  CHECK(reported("not aligned to the 16 bytes promised"));

  const cudnnHandle_t handle = cuda::leased<cuda::Dnn>(0).handle();
  std::thread([&] {
    const cuda::DeviceScope device(0);
    cuda::check(cudnnSetStream(handle, cuda::native(stream0)), "test");
  }).join();
  const cuda::FoundPlan found = plan(arguments({}, ConvPass::forward, DType::f32));
  const Operand any(1, DType::f32, stream0);
  {
    const cuda::DeviceScope device(0);
    CHECK_THROWS_AS(cuda::run_plan(*found.plan, handle, {any.data(), any.data(), any.data()}, any.data()), Error);
    CHECK(reported("two threads use one handle"));
  }
  CHECK_THROWS_AS(cuda::run_plan(*found.plan, handle, {any.data(), any.data(), any.data()}, any.data()), Error);
  CHECK_NOTHROW(Call{}());
  sim::take_reports();
}

TEST_CASE("simulated cuDNN: wrong descriptors are reported") {
  cuda::Descriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  CHECK_THROWS_AS(tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, {int64_t{1}, int64_t{2}}), Error);
  CHECK(reported("with 2 values"));
  CHECK(tensor.finalize() == CUDNN_STATUS_BAD_PARAM);
  CHECK(reported("is missing"));
  cuda::Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  CHECK_THROWS_AS(graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, tensor), Error);
  CHECK(reported("a part that is not finalised"));

  Conv2dArgs args = arguments({}, ConvPass::forward, DType::f32);
  args.oh += 1;
  CHECK(plan(args).why.find("an output extent that does not follow from the others") != std::string::npos);
  CHECK(reported("an output extent that does not follow from the others"));

  cuda::FoundPlan found = plan(arguments({}, ConvPass::forward, DType::f32));
  found.plan->graph.reset();
  const Operand any(1, DType::f32, stream0);
  const cuda::DeviceScope device(0);
  const cudnnHandle_t handle = cuda::leased<cuda::Dnn>(0).handle();
  cuda::check(cudnnSetStream(handle, cuda::native(stream0)), "test");
  CHECK_THROWS_AS(cuda::run_plan(*found.plan, handle, {any.data(), any.data(), any.data()}, any.data()), Error);
  CHECK(reported("a descriptor that this one refers to was destroyed"));
}

TEST_CASE("simulated cuDNN: an overrun workspace and memory of another device are reported, and cost the device") {
  CHECK_NOTHROW(Call{.less_workspace = 8}());  // as on hardware: it runs later
  CHECK(reported("cudnnBackendExecute"));
  CHECK_THROWS_AS(Call{}(), DeviceLost);
  fresh_devices();
  void* const elsewhere = backend(DeviceType::cuda).allocate(4096, {Device(DeviceType::cuda, 1), 0});
  CHECK_NOTHROW(Call{.x = elsewhere}());
  CHECK(reported("cuda:1"));
  fresh_devices();
  const Case c = make_case({}, ConvPass::forward, DType::f32, true);
  CHECK(convolution(c, stream0) == expected(c));  // by a new handle
}
