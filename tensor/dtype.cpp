#include "weft/tensor/dtype.h"

namespace weft {

const char* name_of(DType t) {
  switch (t) {
    case DType::f32:
      return "float32";
    case DType::f64:
      return "float64";
    case DType::f16:
      return "float16";
    case DType::bf16:
      return "bfloat16";
    case DType::i64:
      return "int64";
    case DType::i32:
      return "int32";
    case DType::u8:
      return "uint8";
    case DType::boolean:
      return "bool";
  }
  return "?";
}

std::string to_string(DType t) { return name_of(t); }

DType promote(DType a, DType b) {
  if (a == b) return a;
  if (is_floating(a) != is_floating(b)) return is_floating(a) ? a : b;
  if (is_floating(a)) {
    if (a == DType::f64 || b == DType::f64) return DType::f64;
    return DType::f32;  // f32 with a 16-bit type, or the two 16-bit types, neither of which holds the other
  }
  // Ranked bool < u8 < i32 < i64.
  const auto rank = [](DType t) { return t == DType::i64 ? 3 : t == DType::i32 ? 2 : t == DType::u8 ? 1 : 0; };
  return rank(a) > rank(b) ? a : b;
}

}  // namespace weft
