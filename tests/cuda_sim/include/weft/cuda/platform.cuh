// The simulator's twin of cuda/platform.cuh: the same names, for kernels compiled as plain C++ with hooks.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "weft_sim/intrinsics.h"
#include "weft_sim/kernel_side.h"

#define WEFT_SHARED(Type, name, ...)                                      \
  using name##_shared = Type __VA_ARGS__;                                 \
  auto& name = *static_cast<name##_shared*>(::weft::sim::shared_variable( \
      sizeof(name##_shared), alignof(name##_shared), __PRETTY_FUNCTION__, ::weft::sim::Site{__FILE__, __LINE__}))
#define WEFT_DYNAMIC_SHARED(Type, name) \
  Type* const name = static_cast<Type*>(::weft::sim::dynamic_shared(alignof(Type)))
#define WEFT_GRID_CONSTANT const

namespace weft::cuda {

inline constexpr int warp_size = 32;
// As many as with the nvcc that these headers come with.
#if CUDART_VERSION >= 12010
inline constexpr size_t most_parameter_bytes = 32764;
#else
inline constexpr size_t most_parameter_bytes = 4096;
#endif

inline void barrier(sim::Site site = {}) { __syncthreads(site); }

template <class T>
T shuffle_xor(T value, int mask, sim::Site site = {}) {
  return __shfl_xor_sync(0xffffffffu, value, mask, warp_size, site);
}
template <class T>
T shuffle_down(T value, int delta, sim::Site site = {}) {
  return __shfl_down_sync(0xffffffffu, value, static_cast<unsigned>(delta), warp_size, site);
}
template <class T>
T shuffle(T value, int lane, sim::Site site = {}) {
  return __shfl_sync(0xffffffffu, value, lane, warp_size, site);
}

inline void atomic_min(uint64_t* word, uint64_t value) { atomicMin(word, value); }

template <class P>
P load_as(const void* address) {
  sim::aligned_access(address, alignof(P));
  return *static_cast<const P*>(address);
}
template <class P>
void store_as(void* address, const P& value) {
  sim::aligned_access(address, alignof(P));
  *static_cast<P*>(address) = value;
}

inline double cos_pi(double x) { return std::cos(std::fmod(x, 2.0) * 3.14159265358979323846); }
inline double sin_pi(double x) { return std::sin(std::fmod(x, 2.0) * 3.14159265358979323846); }
inline float cos_pi(float x) { return static_cast<float>(cos_pi(static_cast<double>(x))); }
inline float sin_pi(float x) { return static_cast<float>(sin_pi(static_cast<double>(x))); }

template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                          cudaStream_t stream, const Arguments&... arguments) {
  return sim::launch(sim::kernel_call(name, kernel, grid, block, shared_bytes, arguments...), stream);
}

}  // namespace weft::cuda
