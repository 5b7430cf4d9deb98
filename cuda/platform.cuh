// What kernels need of nvcc and the device: shared memory, launches, barriers, warp exchanges, 16-byte accesses,
// atomics. The simulator compiles kernels with another compiler and has a twin of this file; so kernels use nothing
// else of CUDA but threadIdx, blockIdx, blockDim, gridDim and the functions of tensor/math.h.
#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cstddef>
#include <cstdint>

/// `WEFT_SHARED(float, tile, [8][33]);` an array in shared memory; uninitialised. Trivial element types only.
#define WEFT_SHARED(Type, name, ...) __shared__ Type name __VA_ARGS__
/// `WEFT_DYNAMIC_SHARED(float, row);` a pointer to the launch's shared_bytes, aligned to 16.
#define WEFT_DYNAMIC_SHARED(Type, name)                                \
  extern __shared__ __align__(16) unsigned char weft_dynamic_shared[]; \
  Type* const name = reinterpret_cast<Type*>(weft_dynamic_shared)

/// Before a parameter of a kernel that is large, or indexed with a number known at run time only: it is read where it
/// lies and not copied to each thread.
#define WEFT_GRID_CONSTANT const __grid_constant__

namespace weft::cuda {

inline constexpr int warp_size = 32;
/// What the parameters of a kernel may take. More than 4 KiB needs the compiler and the driver (R530) of CUDA 12.1.
#if __CUDACC_VER_MAJOR__ * 1000 + __CUDACC_VER_MINOR__ * 10 >= 12010
inline constexpr size_t most_parameter_bytes = 32764;
#else
inline constexpr size_t most_parameter_bytes = 4096;
#endif

/// Every thread of the block arrives before one leaves; orders shared memory. In uniform control flow only.
__device__ inline void barrier() { __syncthreads(); }

// Exchanges between the lanes of a full warp (all 32 take part). T: int32_t, uint32_t, int64_t, uint64_t, float,
// double.

/// The value of lane (own lane ^ mask).
template <class T>
__device__ inline T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
/// The value of lane (own lane + delta); of the own lane past the end.
template <class T>
__device__ inline T shuffle_down(T value, int delta) {
  return __shfl_down_sync(0xffffffffu, value, static_cast<unsigned>(delta));
}
/// The value of lane `lane`.
template <class T>
__device__ inline T shuffle(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane);
}

/// Lowers *word to `value` if that is smaller. The one atomic there is: it marks errors (error_word.h).
__device__ inline void atomic_min(uint64_t* word, uint64_t value) {
  atomicMin(reinterpret_cast<unsigned long long*>(word), static_cast<unsigned long long>(value));
}

/// One access of sizeof(P) bytes to an address aligned to alignof(P): wide where P is an aligned struct of 4 to 32
/// bytes. P: trivially copyable; it is stored in global memory.
template <class P>
__device__ inline P load_as(const void* address) {
  return *static_cast<const P*>(address);
}
// Wide stores are asked for by name: where an element of P comes out of a branch, or the store stands in an unrolled
// loop, the compiler has been seen to make a store for each element. (Loads it joins.)
template <class P>
__device__ inline void store_as(void* address, const P& value) {
  if constexpr (sizeof(P) % 16 == 0 && alignof(P) == 16) {
    struct Parts {
      uint4 part[sizeof(P) / 16];
    };
    const auto [part] = std::bit_cast<Parts>(value);
    const auto to = __cvta_generic_to_global(address);
#pragma unroll
    for (size_t k = 0; k < sizeof(P) / 16; ++k)
      asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(to + 16 * k), "r"(part[k].x), "r"(part[k].y),
                   "r"(part[k].z), "r"(part[k].w)
                   : "memory");
  } else if constexpr (sizeof(P) == 8 && alignof(P) == 8) {
    const auto word = std::bit_cast<uint64_t>(value);
    asm volatile("st.global.b64 [%0], %1;" ::"l"(__cvta_generic_to_global(address)), "l"(word) : "memory");
  } else {
    *static_cast<P*>(address) = value;
  }
}

/// cos(pi x), sin(pi x).
__device__ inline float cos_pi(float x) { return ::cospif(x); }
__device__ inline double cos_pi(double x) { return ::cospi(x); }
__device__ inline float sin_pi(float x) { return ::sinpif(x); }
__device__ inline double sin_pi(double x) { return ::sinpi(x); }

/// Queues kernel<<<grid, block, shared_bytes, stream>>>(arguments…), converted to the kernel's parameter types, and
/// returns the error of the launch, cleared. `name` is what reports call it. Checks nothing: see launch().
template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(const char* /*name*/, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                          size_t shared_bytes, cudaStream_t stream, const Arguments&... arguments) {
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Parameters>(arguments)...);
  return cudaGetLastError();
}

}  // namespace weft::cuda
