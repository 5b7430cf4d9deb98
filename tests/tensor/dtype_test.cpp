// Element types: sizes, names, promotion, and every conversion of the two 16-bit types.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "tests/support/array.h"
#include "weft/tensor/dtype.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("dtype: sizes, names, C++ types") {
  const int64_t sizes[] = {4, 8, 2, 2, 8, 4, 1, 1};
  const char* names[] = {"float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8", "bool"};
  for (int i = 0; i < 8; ++i) {
    const auto t = static_cast<DType>(i);
    CHECK(size_of(t) == sizes[i]);
    CHECK(to_string(t) == names[i]);
    CHECK(is_floating(t) == (i < 4));
    bool same = false;
    size_t bytes = 0;
    dispatch_all(t, [&](auto tag) {
      using T = typename decltype(tag)::type;
      same = dtype_of<T> == t;
      bytes = sizeof(T);
    });
    CHECK(same);
    CHECK(static_cast<int64_t>(bytes) == sizes[i]);
    CHECK(dispatch_floating(t, [](auto) {}) == (i < 4));
  }
}

TEST_CASE("dtype: the promotion table") {
  constexpr DType f4 = DType::f32, f8 = DType::f64, f2 = DType::f16, b2 = DType::bf16;
  constexpr DType i8 = DType::i64, i4 = DType::i32, u1 = DType::u8, bo = DType::boolean;
  // Rows and columns in the order of the enumeration; PyTorch's table for tensors of rank >= 1.
  const DType table[8][8] = {
      {f4, f8, f4, f4, f4, f4, f4, f4},  // f32
      {f8, f8, f8, f8, f8, f8, f8, f8},  // f64
      {f4, f8, f2, f4, f2, f2, f2, f2},  // f16
      {f4, f8, f4, b2, b2, b2, b2, b2},  // bf16
      {f4, f8, f2, b2, i8, i8, i8, i8},  // i64
      {f4, f8, f2, b2, i8, i4, i4, i4},  // i32
      {f4, f8, f2, b2, i8, i4, u1, u1},  // u8
      {f4, f8, f2, b2, i8, i4, u1, bo},  // bool
  };
  for (int a = 0; a < 8; ++a)
    for (int b = 0; b < 8; ++b) CHECK(promote(static_cast<DType>(a), static_cast<DType>(b)) == table[a][b]);
}

// ---- 16-bit types against plain arithmetic in double
// ------------------------------------------------------------------

namespace {

struct Format {
  int mantissa;  // stored bits
  int least;     // exponent of the smallest normal number
  int greatest;  // exponent of the largest
};
constexpr Format half_format{10, -14, 15};
constexpr Format bfloat_format{7, -126, 127};

double decoded(uint16_t bits, Format f) {
  const int exponent_bits = 15 - f.mantissa;
  const int exponent = (bits >> f.mantissa) & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << f.mantissa) - 1);
  const double sign = bits >> 15 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1)
    return fraction ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(fraction, f.least - f.mantissa);
  return sign * std::ldexp((1 << f.mantissa) + fraction, exponent - 1 + f.least - f.mantissa);
}

// The nearest representable number, ties to even, as plain arithmetic.
double nearest(double x, Format f) {
  if (!std::isfinite(x) || x == 0) return x;
  const int exponent = std::max(std::ilogb(x), f.least);
  const double unit = std::ldexp(1, exponent - f.mantissa);
  const double y = std::nearbyint(x / unit) * unit;
  const double limit = std::ldexp(2, f.greatest);
  return std::abs(y) >= limit ? std::copysign(std::numeric_limits<double>::infinity(), x) : y;
}

bool same(double a, double b) { return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b); }

template <class T>
int faults(Format format) {
  int bad = 0;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    T x;
    x.bits = static_cast<uint16_t>(bits);
    const float value = x;
    bad += !same(static_cast<double>(value), decoded(x.bits, format));
    const T back(value);
    bad += std::isnan(value) ? !std::isnan(static_cast<float>(back)) : back.bits != x.bits;
    // The float exactly between this number and the next, and its neighbours: where rounding is decided.
    const double next = decoded(static_cast<uint16_t>(bits + 1), format);
    if (!std::isfinite(value) || !std::isfinite(next)) continue;
    const auto middle = static_cast<float>((static_cast<double>(value) + next) / 2);
    for (const float f : {std::nextafter(middle, -1e38f), middle, std::nextafter(middle, 1e38f)})
      bad += !same(static_cast<double>(static_cast<float>(T(f))), nearest(static_cast<double>(f), format));
  }
  return bad;
}

template <class T>
int64_t sweep_faults(Format format, uint32_t step) {
  int64_t bad = 0;
  for (uint64_t bits = seed_for("half") % step; bits < (uint64_t{1} << 32); bits += step) {
    const auto x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    bad += !same(static_cast<double>(static_cast<float>(T(x))), nearest(static_cast<double>(x), format));
  }
  return bad;
}

}  // namespace

TEST_CASE("half: all 65,536 numbers, there and back, and every rounding decision") {
  CHECK(faults<Half>(half_format) == 0);
  CHECK(faults<BFloat16>(bfloat_format) == 0);
  CHECK(faults<Half>(bfloat_format) > 0);  // the check itself can fail
}

TEST_CASE("half: a sweep over all floats") {
  CHECK(sweep_faults<Half>(half_format, 1009) == 0);
  CHECK(sweep_faults<BFloat16>(bfloat_format, 1009) == 0);
}

TEST_CASE("half: limits and special values") {
  CHECK(Half(65504.f).bits == 0x7bff);
  CHECK(Half(65519.996f).bits == 0x7bff);
  CHECK(Half(65520.f).bits == 0x7c00);
  CHECK(Half(-1e30f).bits == 0xfc00);
  CHECK(Half(0x1p-24f).bits == 1);
  CHECK(Half(0x1p-25f).bits == 0);  // a tie, to even
  CHECK(Half(0x1.000002p-25f).bits == 1);
  CHECK(Half(-0.f).bits == 0x8000);
  CHECK(std::isnan(static_cast<float>(Half(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(BFloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(BFloat16(1.f).bits == 0x3f80);
  CHECK(std::isnan(static_cast<float>(BFloat16(std::bit_cast<float>(0x7f800001u)))));  // must not round to infinity
}
