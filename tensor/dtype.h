// DType: the element types, their sizes and names, the promotion rules, and the way from a DType to a C++ type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <type_traits>

#include "weft/tensor/half.h"

namespace weft {

enum class DType : uint8_t { f32, f64, f16, bf16, i64, i32, u8, boolean };

/// Bytes per element.
WEFT_INLINE constexpr int64_t size_of(DType t) {
  return t == DType::f64 || t == DType::i64    ? 8
         : t == DType::f32 || t == DType::i32  ? 4
         : t == DType::f16 || t == DType::bf16 ? 2
                                               : 1;
}
WEFT_INLINE constexpr bool is_floating(DType t) { return t <= DType::bf16; }
/// "float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool".
const char* name_of(DType t);
std::string to_string(DType t);
std::ostream& operator<<(std::ostream& out, DType t);

/// The type in which two operands meet: floating wins over integer wins over bool, then the wider one;
/// f16 with bf16 gives f32, u8 with a signed type the signed type. As in PyTorch for tensors of rank >= 1.
DType promote(DType a, DType b);

namespace detail {
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<Half> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<long long> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};
}  // namespace detail

template <class T>
inline constexpr DType dtype_of = detail::DTypeOf<T>::value;

/// The type in which a kernel computes with elements of T: float for the 16-bit types, else T itself.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float, T>;

/// The dtype of Compute: f64 for f64, f32 for the other floating types.
WEFT_INLINE constexpr DType compute_dtype(DType t) { return t == DType::f64 ? DType::f64 : DType::f32; }

/// A type as a value, so that a generic lambda can receive it: `using T = typename decltype(tag)::type;`.
template <class T>
struct Tag {
  using type = T;
};

// nvcc: f may be of the host, of the device, or of both, as its caller is.
#if defined(__CUDACC__)
#define WEFT_ANY_SIDE _Pragma("nv_exec_check_disable")
#else
#define WEFT_ANY_SIDE
#endif

/// Calls f(Tag<T>{}) with the C++ type of a floating dtype; false for any other dtype.
WEFT_ANY_SIDE
template <class F>
WEFT_INLINE bool dispatch_floating(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      f(Tag<float>{});
      return true;
    case DType::f64:
      f(Tag<double>{});
      return true;
    case DType::f16:
      f(Tag<Half>{});
      return true;
    case DType::bf16:
      f(Tag<BFloat16>{});
      return true;
    default:
      return false;
  }
}

/// Calls f(Tag<T>{}) with the C++ type of any dtype.
WEFT_ANY_SIDE
template <class F>
WEFT_INLINE void dispatch_all(DType t, F&& f) {
  switch (t) {
    case DType::i64:
      f(Tag<int64_t>{});
      return;
    case DType::i32:
      f(Tag<int32_t>{});
      return;
    case DType::u8:
      f(Tag<uint8_t>{});
      return;
    case DType::boolean:
      f(Tag<bool>{});
      return;
    default:
      dispatch_floating(t, static_cast<F&&>(f));
  }
}

#undef WEFT_ANY_SIDE

}  // namespace weft
