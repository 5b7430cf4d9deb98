// What cuDNN may load kernels for waits while a collective is launched: see the note in cuda/memory_lock.h. That
// kernels of weft's own and calls of cuBLAS do is seen in nccl_test.cpp.
#include "weft/cuda/memory_lock.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "tests/cuda_sim/operand.h"
#include "weft/cuda/dnn.h"
#include "weft/cuda/leased.h"

using namespace weft;
using namespace weft::test;
using namespace std::chrono_literals;

namespace {

const Stream stream0{Device(DeviceType::cuda, 0), 0};

cuda::Convolution small() {
  Conv2dArgs a = {};
  a.pass = ConvPass::forward, a.dtype = DType::f32;
  a.n = 1, a.c = a.o = 2, a.h = a.w = a.oh = a.ow = 3, a.kh = a.kw = 1;
  a.groups = a.stride_h = a.stride_w = a.dilation_h = a.dilation_w = 1;
  return cuda::describe(a, false);
}

// Whether the work, in a thread that has its handle, is done within the launch of a collective; it is done after it.
bool done_meanwhile(const std::function<void(cudnnHandle_t)>& work) {
  std::promise<void> ready, go;
  std::atomic<bool> done{false};
  std::thread other([&] {
    const cuda::DeviceScope device(0);
    const cudnnHandle_t handle = cuda::leased<cuda::Dnn>(0).handle();
    cuda::check(cudnnSetStream(handle, cuda::native(stream0)), "test");
    ready.set_value();
    go.get_future().wait();
    work(handle);
    done = true;
  });
  ready.get_future().wait();
  bool meanwhile = false;
  {
    const cuda::GroupedLaunchScope launch;
    go.set_value();
    std::this_thread::sleep_for(100ms);
    meanwhile = done;
  }
  other.join();
  CHECK(done);
  return meanwhile;
}

}  // namespace

TEST_SUITE("cuda_sim/memory_lock") {
  TEST_CASE("a plan of cuDNN is neither made nor run within a grouped launch") {
    fresh_devices();
    cuda::FoundPlan found;
    CHECK(!done_meanwhile([&](cudnnHandle_t handle) { found = cuda::find_plan(small(), cuda::PlanTarget(handle)); }));
    REQUIRE(found.plan);
    const std::vector<double> image = whole_numbers(18, 1);
    const Operand x(image, DType::f32, stream0), w({1, 0, 0, 1}, DType::f32, stream0), y(18, DType::f32, stream0);
    const Operand space(std::max<int64_t>(found.plan->workspace, 1), DType::u8, stream0);
    CHECK(!done_meanwhile([&](cudnnHandle_t handle) {
      cuda::run_plan(*found.plan, handle, {x.data(), w.data(), y.data()}, space.data());
    }));
    CHECK(y.values() == image);
  }
}
