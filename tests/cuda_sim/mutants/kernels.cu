#include "kernels.h"

#include "weft/cuda/platform.cuh"

namespace weft::sim::mutants {
namespace {

using namespace weft::cuda;

constexpr int threads = 64;

struct Buffer {
  explicit Buffer(int n) { (void)cudaMalloc(reinterpret_cast<void**>(&data), n * sizeof(float)); }
  ~Buffer() { (void)cudaFree(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  float* data = nullptr;
};

// Frees its operands only once the kernel has run: the cases are about what kernels do.
template <class... Parameters, class... Arguments>
void run(void (*kernel)(Parameters...), int blocks, cudaStream_t stream, Arguments... arguments) {
  (void)launch_kernel(nullptr, kernel, dim3(blocks), dim3(threads), 0, stream, arguments...);
  (void)cudaStreamSynchronize(stream);
}

__device__ int grid_thread() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }

__global__ void set_kernel(float* x, int n, float value) {
  if (grid_thread() < n) x[grid_thread()] = value;
}
__global__ void add_one_kernel(const float* x, float* y, int n) {
  if (grid_thread() < n) y[grid_thread()] = x[grid_thread()] + 1;
}
__global__ void idle_kernel() {}

// ---- bounds and initialisation

template <bool wrong>
__global__ void off_by_one_kernel(float* x, int n) {
  const int i = grid_thread();
  if (wrong ? i <= n : i < n) x[i] = 1;
}
template <bool wrong>
void off_by_one(cudaStream_t stream) {
  Buffer x(100);
  run(off_by_one_kernel<wrong>, 2, stream, x.data, 100);
}

template <bool wrong>
void uninitialised(cudaStream_t stream) {
  Buffer x(threads), y(threads);
  if (!wrong) (void)set(x.data, threads, 2, stream);
  run(add_one_kernel, 1, stream, static_cast<const float*>(x.data), y.data, threads);
}

template <bool wrong>
void host_pointer(cudaStream_t stream) {
  Buffer x(threads), y(threads);
  (void)set(x.data, threads, 2, stream);
  static float host[threads];
  run(add_one_kernel, 1, stream, wrong ? host : static_cast<const float*>(x.data), y.data, threads);
}

template <bool wrong>
void null_pointer(cudaStream_t stream) {
  Buffer x(threads);
  run(set_kernel, 1, stream, wrong ? nullptr : x.data, threads, 1.0f);
}

struct alignas(16) Four {
  float v[4];
};
template <bool wrong>
__global__ void vector_load_kernel(const float* x, float* y) {
  const Four four = load_as<Four>(x + (wrong ? 2 : 4));
  if (threadIdx.x == 0) store_as(y, four);
}
template <bool wrong>
void vector_load(cudaStream_t stream) {
  Buffer x(8), y(4);
  (void)set(x.data, 8, 2, stream);
  run(vector_load_kernel<wrong>, 1, stream, static_cast<const float*>(x.data), y.data);
}

__global__ void wide_kernel(int64_t* x) { x[threadIdx.x] = 1; }
template <bool wrong>
void misaligned(cudaStream_t stream) {
  Buffer x(2 * threads + 2);
  run(wide_kernel, 1, stream, reinterpret_cast<int64_t*>(x.data + (wrong ? 1 : 2)));
}

// ---- barriers and races

template <bool wrong>
__global__ void reverse_kernel(const float* x, float* y) {
  WEFT_SHARED(float, tile, [threads]);
  const int i = static_cast<int>(threadIdx.x);
  tile[i] = x[i];
  if (!wrong) barrier();
  y[i] = tile[threads - 1 - i];
}
template <bool wrong>
void missing_barrier(cudaStream_t stream) {
  Buffer x(threads), y(threads);
  (void)set(x.data, threads, 2, stream);
  run(reverse_kernel<wrong>, 1, stream, static_cast<const float*>(x.data), y.data);
}

// The tile is filled again while slower threads still read it.
template <bool wrong>
__global__ void twice_kernel(const float* x, float* y) {
  WEFT_SHARED(float, tile, [threads]);
  const int i = static_cast<int>(threadIdx.x);
  float sum = 0;
  for (int turn = 0; turn < 2; ++turn) {
    tile[i] = x[i] + turn;
    barrier();
    sum += tile[threads - 1 - i];
    if (!wrong) barrier();
  }
  y[i] = sum;
}
template <bool wrong>
void missing_second_barrier(cudaStream_t stream) {
  Buffer x(threads), y(threads);
  (void)set(x.data, threads, 2, stream);
  run(twice_kernel<wrong>, 1, stream, static_cast<const float*>(x.data), y.data);
}

// Within a warp: lanes exchange by memory, which takes a warp barrier.
template <bool wrong>
__global__ void warp_exchange_kernel(float* y) {
  WEFT_SHARED(float, tile, [threads]);
  const int i = static_cast<int>(threadIdx.x);
  tile[i] = static_cast<float>(i);
  if (!wrong) __syncwarp();
  y[i] = tile[i ^ 1];
}
template <bool wrong>
void missing_warp_barrier(cudaStream_t stream) {
  Buffer y(threads);
  run(warp_exchange_kernel<wrong>, 1, stream, y.data);
}

template <bool wrong>
__global__ void divergent_kernel(float* x) {
  if (threadIdx.x < 16) {
    x[threadIdx.x] = 1;
    if (wrong) barrier();
  }
  barrier();
}
template <bool wrong>
void divergent_barrier(cudaStream_t stream) {
  Buffer x(threads);
  run(divergent_kernel<wrong>, 1, stream, x.data);
}

template <bool wrong>
__global__ void block_sum_kernel(float* out) {
  if (threadIdx.x == 0) out[wrong ? 0 : blockIdx.x] = static_cast<float>(blockIdx.x);
}
template <bool wrong>
void block_against_block(cudaStream_t stream) {
  Buffer out(4);
  run(block_sum_kernel<wrong>, 4, stream, out.data);
}

template <bool wrong>
__global__ void count_kernel(unsigned* count) {
  if (wrong && threadIdx.x == 7) {
    *count += 1;
  } else {
    atomicAdd(count, 1u);
  }
}
template <bool wrong>
void plain_beside_atomic(cudaStream_t stream) {
  Buffer count(1);
  (void)cudaMemsetAsync(count.data, 0, 4, stream);
  run(count_kernel<wrong>, 2, stream, reinterpret_cast<unsigned*>(count.data));
}

// ---- warps

template <bool wrong>
__global__ void warp_sum_kernel(float* out) {
  float value = 1;
  const unsigned mask = wrong ? 0x0000ffffu : 0xffffffffu;
  for (int delta = 16; delta > 0; delta /= 2) value += __shfl_down_sync(mask, value, static_cast<unsigned>(delta));
  if (threadIdx.x == 0) *out = value;
}
template <bool wrong>
void lane_outside_its_mask(cudaStream_t stream) {
  Buffer out(1);
  run(warp_sum_kernel<wrong>, 1, stream, out.data);
}

template <bool wrong>
__global__ void early_exit_kernel(float* out) {
  if (wrong && threadIdx.x % 32 >= 20) return;
  const float value = shuffle_xor(1.0f, 16);
  if (threadIdx.x == 0) *out = value;
}
template <bool wrong>
void shuffle_from_absent_lane(cudaStream_t stream) {
  Buffer out(1);
  run(early_exit_kernel<wrong>, 1, stream, out.data);
}

template <bool wrong>
__global__ void divergent_warp_kernel(float* out) {
  float value = static_cast<float>(threadIdx.x);
  if (wrong && threadIdx.x % 2 == 0) {
    value += shuffle_xor(value, 2);
  } else {
    value += shuffle_xor(value, 2);
  }
  out[threadIdx.x] = value;
}
template <bool wrong>
void divergent_warp(cudaStream_t stream) {
  Buffer out(threads);
  run(divergent_warp_kernel<wrong>, 1, stream, out.data);
}

// ---- shared memory

template <bool wrong>
__global__ void shared_overflow_kernel(float* out) {
  WEFT_SHARED(float, tile, [threads]);
  tile[threadIdx.x + (wrong ? 1 : 0)] = 1;
  out[threadIdx.x] = 0;
}
template <bool wrong>
void shared_overflow(cudaStream_t stream) {
  Buffer out(threads);
  run(shared_overflow_kernel<wrong>, 1, stream, out.data);
}

template <bool wrong>
__global__ void shared_uninitialised_kernel(float* out) {
  WEFT_SHARED(float, tile, [threads]);
  if (!wrong || threadIdx.x < 63) tile[threadIdx.x] = 1;
  barrier();
  out[blockIdx.x * blockDim.x + threadIdx.x] = tile[63 - threadIdx.x];
}
template <bool wrong>
void shared_uninitialised(cudaStream_t stream) {
  Buffer out(2 * threads);
  run(shared_uninitialised_kernel<wrong>, 2, stream, out.data);
}

__global__ void dynamic_kernel(float* out) {
  WEFT_DYNAMIC_SHARED(float, tile);
  tile[threadIdx.x] = 1;
  out[threadIdx.x] = tile[threadIdx.x];
}
template <bool wrong>
void too_little_dynamic_shared(cudaStream_t stream) {
  Buffer out(threads);
  const size_t bytes = (wrong ? threads - 1 : threads) * sizeof(float);
  (void)launch_kernel(nullptr, dynamic_kernel, dim3(1), dim3(threads), bytes, stream, out.data);
  (void)cudaStreamSynchronize(stream);
}

template <bool wrong>
__global__ void large_shared_kernel(float* out) {
  WEFT_SHARED(float, tile, [(wrong ? 13 : 12) * 1024]);
  tile[threadIdx.x] = 1;
  out[threadIdx.x] = tile[threadIdx.x];
}
template <bool wrong>
void too_much_shared(cudaStream_t stream) {
  Buffer out(threads);
  run(large_shared_kernel<wrong>, 1, stream, out.data);
}

// ---- blocks that wait for each other: they may run one after another

template <bool wrong>
__global__ void meeting_kernel(unsigned* flags) {
  if (threadIdx.x != 0) return;
  atomicExch(&flags[blockIdx.x], 1u);
  while (wrong && atomicOr(&flags[1 - blockIdx.x], 0u) == 0) {
  }
}
template <bool wrong>
void waits_for_another_block(cudaStream_t stream) {
  Buffer flags(2);
  (void)cudaMemsetAsync(flags.data, 0, 8, stream);
  run(meeting_kernel<wrong>, 2, stream, reinterpret_cast<unsigned*>(flags.data));
}

template <auto right, auto wrong_one>
void either(bool wrong, cudaStream_t stream) {
  wrong ? wrong_one(stream) : right(stream);
}

}  // namespace

#define WEFT_SIM_CASE(name, report, status) \
  { #name, either < name < false>, name < true>>, report, status }
const KernelCase kernel_cases[] = {
    WEFT_SIM_CASE(off_by_one, "out of bounds: off_by_one_kernel", cudaErrorIllegalAddress),
    WEFT_SIM_CASE(uninitialised, "uninitialised read: add_one_kernel", cudaSuccess),
    WEFT_SIM_CASE(host_pointer, "not device memory: add_one_kernel", cudaErrorIllegalAddress),
    WEFT_SIM_CASE(null_pointer, "not device memory: set_kernel", cudaErrorIllegalAddress),
    WEFT_SIM_CASE(vector_load, "misaligned: ", cudaErrorMisalignedAddress),
    WEFT_SIM_CASE(misaligned, "misaligned: wide_kernel", cudaErrorMisalignedAddress),
    WEFT_SIM_CASE(missing_barrier, "data race: reverse_kernel", cudaSuccess),
    WEFT_SIM_CASE(missing_second_barrier, "data race: twice_kernel", cudaSuccess),
    WEFT_SIM_CASE(missing_warp_barrier, "data race: warp_exchange_kernel", cudaSuccess),
    WEFT_SIM_CASE(divergent_barrier, "divergent barrier in divergent_kernel", cudaErrorLaunchFailure),
    WEFT_SIM_CASE(block_against_block, "data race: block_sum_kernel", cudaSuccess),
    WEFT_SIM_CASE(plain_beside_atomic, "data race: ", cudaSuccess),
    WEFT_SIM_CASE(lane_outside_its_mask, "absent lane: in warp_sum_kernel", cudaErrorLaunchFailure),
    WEFT_SIM_CASE(shuffle_from_absent_lane, "absent lane: in early_exit_kernel", cudaErrorLaunchFailure),
    WEFT_SIM_CASE(divergent_warp, "divergent warp: in divergent_warp_kernel", cudaErrorLaunchFailure),
    WEFT_SIM_CASE(shared_overflow, "out of bounds: shared_overflow_kernel", cudaErrorIllegalAddress),
    WEFT_SIM_CASE(shared_uninitialised, "uninitialised read: shared_uninitialised_kernel", cudaSuccess),
    WEFT_SIM_CASE(too_little_dynamic_shared, "out of bounds: dynamic_kernel", cudaErrorIllegalAddress),
    WEFT_SIM_CASE(too_much_shared, "shared memory: large_shared_kernel", cudaErrorLaunchFailure),
    WEFT_SIM_CASE(waits_for_another_block, "stuck: meeting_kernel", cudaErrorLaunchTimeout),
};
const int kernel_case_count = sizeof kernel_cases / sizeof *kernel_cases;

cudaError_t add_one(const float* x, float* y, int n, cudaStream_t stream) {
  return launch_kernel("add_one", add_one_kernel, dim3((n + threads - 1) / threads), dim3(threads), 0, stream, x, y, n);
}
cudaError_t set(float* x, int n, float value, cudaStream_t stream) {
  return launch_kernel("set", set_kernel, dim3((n + threads - 1) / threads), dim3(threads), 0, stream, x, n, value);
}
cudaError_t idle(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream) {
  return launch_kernel("idle", idle_kernel, grid, block, shared_bytes, stream);
}
const void* const idle_kernel_address = reinterpret_cast<const void*>(idle_kernel);

}  // namespace weft::sim::mutants
