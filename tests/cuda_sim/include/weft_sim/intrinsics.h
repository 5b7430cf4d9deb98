// The names of CUDA that device code may use and host compilers do not have: indices, barriers, warp operations,
// atomics, bits, and the mathematics that <cmath> lacks.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernel_side.h"

#define threadIdx (::weft::sim::thread_index())
#define blockIdx (::weft::sim::block_index())
#define blockDim (::weft::sim::block_extent())
#define gridDim (::weft::sim::grid_extent())
#undef __launch_bounds__
#define __launch_bounds__(...)

inline constexpr int warpSize = 32;

// ---------------------------------------------------------------------------------------------------------------------
// Barriers

inline void __syncthreads(weft::sim::Site site = {}) {
  int arrived;
  weft::sim::block_barrier(0, arrived, site);
}
inline int __syncthreads_count(int predicate, weft::sim::Site site = {}) {
  int arrived;
  return weft::sim::block_barrier(predicate, arrived, site);
}
inline int __syncthreads_or(int predicate, weft::sim::Site site = {}) {
  int arrived;
  return weft::sim::block_barrier(predicate, arrived, site) != 0;
}
inline int __syncthreads_and(int predicate, weft::sim::Site site = {}) {
  int arrived;
  const int votes = weft::sim::block_barrier(predicate, arrived, site);
  return votes == arrived;
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// ---------------------------------------------------------------------------------------------------------------------
// Warp operations

namespace weft::sim {

template <class T>
T shuffle(unsigned mask, T value, unsigned source, Site site) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = meet_warp(WarpOperation::shuffle, mask, bits, source, site);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
// The warp is cut into pieces of `width` lanes: the first lane of this lane's piece.
inline unsigned piece(int width) { return lane() & ~static_cast<unsigned>(width - 1); }

}  // namespace weft::sim

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, weft::sim::Site site = {}) {
  using namespace weft::sim;
  return shuffle(mask, value, piece(width) + (static_cast<unsigned>(source) & static_cast<unsigned>(width - 1)), site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, weft::sim::Site site = {}) {
  using namespace weft::sim;
  return shuffle(mask, value, lane() >= piece(width) + delta ? lane() - delta : lane(), site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, weft::sim::Site site = {}) {
  using namespace weft::sim;
  return shuffle(mask, value, lane() + delta < piece(width) + static_cast<unsigned>(width) ? lane() + delta : lane(),
                 site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32, weft::sim::Site site = {}) {
  using namespace weft::sim;
  const unsigned source = lane() ^ static_cast<unsigned>(with);
  return shuffle(mask, value, source < piece(width) + static_cast<unsigned>(width) ? source : lane(), site);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, weft::sim::Site site = {}) {
  weft::sim::meet_warp(weft::sim::WarpOperation::sync, mask, 0, 0, site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, weft::sim::Site site = {}) {
  return static_cast<unsigned>(weft::sim::meet_warp(weft::sim::WarpOperation::ballot, mask, predicate != 0, 0, site));
}
inline int __any_sync(unsigned mask, int predicate, weft::sim::Site site = {}) {
  return __ballot_sync(mask, predicate, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate, weft::sim::Site site = {}) {
  return __ballot_sync(mask, !predicate, site) == 0;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, weft::sim::Site site = {}) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return static_cast<unsigned>(weft::sim::meet_warp(weft::sim::WarpOperation::match, mask, bits, 0, site));
}

// ---------------------------------------------------------------------------------------------------------------------
// Atomics: announced as such, then carried out; no other thread runs in between.

#define WEFT_SIM_PLAIN __attribute__((no_sanitize("thread")))

namespace weft::sim {

template <class T>
using Same = std::type_identity_t<T>;

template <class T, class Change>
WEFT_SIM_PLAIN T change(T* address, Change next) {
  atomic_access(address, sizeof(T));
  const T before = *address;
  *address = next(before);
  return before;
}

}  // namespace weft::sim

// clang-format off
template <class T> T atomicAdd(T* p, weft::sim::Same<T> v) { return weft::sim::change(p, [v](T old) { return static_cast<T>(old + v); }); }
template <class T> T atomicSub(T* p, weft::sim::Same<T> v) { return weft::sim::change(p, [v](T old) { return static_cast<T>(old - v); }); }
template <class T> T atomicMin(T* p, weft::sim::Same<T> v) { return weft::sim::change(p, [v](T old) { return v < old ? v : old; }); }
template <class T> T atomicMax(T* p, weft::sim::Same<T> v) { return weft::sim::change(p, [v](T old) { return old < v ? v : old; }); }
template <class T> T atomicAnd(T* p, weft::sim::Same<T> v) { return weft::sim::change(p, [v](T old) { return static_cast<T>(old & v); }); }
template <class T> T atomicOr(T* p, weft::sim::Same<T> v) { return weft::sim::change(p, [v](T old) { return static_cast<T>(old | v); }); }
template <class T> T atomicXor(T* p, weft::sim::Same<T> v) { return weft::sim::change(p, [v](T old) { return static_cast<T>(old ^ v); }); }
template <class T> T atomicExch(T* p, weft::sim::Same<T> v) { return weft::sim::change(p, [v](T) { return v; }); }
template <class T> T atomicCAS(T* p, weft::sim::Same<T> expected, weft::sim::Same<T> v) {
  return weft::sim::change(p, [expected, v](T old) { return old == expected ? v : old; });
}
inline unsigned atomicInc(unsigned* p, unsigned last) { return weft::sim::change(p, [last](unsigned old) { return old >= last ? 0 : old + 1; }); }

// ---------------------------------------------------------------------------------------------------------------------
// Bits

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t{a} * b >> 32); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }
template <class T> T __ldg(const T* address) { return *address; }
template <class T> T __ldcs(const T* address) { return *address; }
template <class T> void __stcs(T* address, weft::sim::Same<T> value) { *address = value; }

// ---------------------------------------------------------------------------------------------------------------------
// Mathematics

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __sinf(float x) { return std::sin(x); }
inline float __cosf(float x) { return std::cos(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
inline int __float2int_rd(float x) { return static_cast<int>(std::floor(x)); }
inline int __float2int_rz(float x) { return static_cast<int>(x); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
template <class A, class B> std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}
template <class A, class B> std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}
// clang-format on
