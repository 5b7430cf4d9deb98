#include "launch.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "../memory/region.h"
#include "../reports.h"
#include "../runtime/device.h"
#include "../runtime/status.h"
#include "../streams/policy.h"
#include "../streams/stream.h"
#include "kernel.h"

namespace weft::sim {
namespace {

std::map<const void*, size_t> opted_in;  // dynamic bytes allowed beyond the usual limit
uint32_t last_stamp = 0;
int64_t kernels = 0;

bool fits(const dim3& extent, const unsigned (&most)[3]) {
  const unsigned sizes[3] = {extent.x, extent.y, extent.z};
  for (int i = 0; i < 3; ++i) {
    if (sizes[i] == 0 || sizes[i] > most[i]) return false;
  }
  return true;
}

cudaError_t check_limits(const KernelCall& call) {
  const bool block_fits =
      fits(call.block, limits.block_dim) && call.block.x * call.block.y * call.block.z <= limits.threads_per_block;
  if (!block_fits || !fits(call.grid, limits.grid_dim)) return cudaErrorInvalidConfiguration;
  return call.shared_bytes > shared_limit(call.function) ? cudaErrorInvalidValue : cudaSuccess;
}

void run_grid(const KernelCall& call, int device) {
  const uint64_t blocks = uint64_t{call.grid.x} * call.grid.y * call.grid.z;
  const Schedule now = schedule();
  kernel.call = &call;
  kernel.device = device;
  kernel.area = area_of_device(device);
  kernel.first_stamp = last_stamp + 1;
  kernel.turns = now.threads;
  kernel.stopped = cudaSuccess;
  kernel.block_order.resize(blocks);
  std::iota(kernel.block_order.begin(), kernel.block_order.end(), 0u);
  if (now.blocks == Order::descending) std::reverse(kernel.block_order.begin(), kernel.block_order.end());
  if (now.blocks == Order::shuffled) {
    std::shuffle(kernel.block_order.begin(), kernel.block_order.end(), schedule_random());
  }
  ++kernels;
  in_kernel = true;
  for (uint32_t number : kernel.block_order) {
    kernel.stamp = ++last_stamp;
    kernel.block = {number % call.grid.x, number / call.grid.x % call.grid.y, number / call.grid.x / call.grid.y};
    run_block();
    if (kernel.stopped != cudaSuccess) break;
  }
  in_kernel = false;
  if (kernel.stopped != cudaSuccess) lose_device(device, kernel.stopped);
}

}  // namespace

size_t shared_limit(const void* function) {
  auto found = opted_in.find(function);
  return found == opted_in.end() ? limits.shared : std::max<size_t>(found->second, limits.shared);
}

void reset_launches() { opted_in.clear(); }

int64_t kernels_run() {
  Lock lock;
  return kernels;
}

int64_t wide_accesses() {
  Lock lock;
  return kernel.wide_accesses;
}

namespace {

cudaError_t issue_kernel(KernelCall call, cudaStream_t handle) {
  if (const cudaError_t status = check_current_device(); status != cudaSuccess) return status;
  const std::string name = call.name ? call.name : "a kernel launch";
  Stream* stream = stream_for_work(handle, name.c_str());
  if (!stream) return cudaErrorInvalidResourceHandle;
  const auto fault = planned_for_later(FaultKind::launch, stream->device);
  if (fault && !is_sticky(*fault)) return *fault;
  if (const cudaError_t status = check_limits(call); status != cudaSuccess) return status;
  const void* function = call.name ? nullptr : call.function;
  if (fault) {
    issue(*stream, {.name = name, .kernel = function, .run = [code = *fault] { lose_device(running.device, code); }});
  } else {
    issue(*stream,
          {.name = name, .kernel = function, .run = [call = std::move(call)] { run_grid(call, running.device); }});
  }
  return sticky_error(stream->device);
}

}  // namespace

// As a launch on hardware, whose error is the thread's last one: what an earlier call left behind comes out here.
cudaError_t launch(KernelCall call, cudaStream_t handle) {
  if (unloading()) return cudaErrorCudartUnloading;
  Lock lock;
  remember(issue_kernel(std::move(call), handle));
  return last_error(true);
}

}  // namespace weft::sim

using namespace weft::sim;

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute name, int value) {
  return entry(FaultKind::setup, [&] {
    if (name == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
    const unsigned bytes = static_cast<unsigned>(value);
    if (name != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || bytes > limits.shared_with_opt_in) {
      return cudaErrorInvalidValue;
    }
    opted_in[function] = bytes;
    return cudaSuccess;
  });
}
