// The polynomials of math.h against the double functions of the C library, over float bit patterns of every size and
// sign.
#include "weft/tensor/math.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "weft/tensor/convert.h"
#include "weft/tensor/rounding.h"
#include "weft/tensor/trigonometry.h"

using namespace weft;

namespace {

using Float = float (*)(float);
using Double = double (*)(double);

// Distance of got from wanted in units of the last place of wanted as a float; huge where NaN or infinities disagree.
double ulps(float got, double wanted) {
  constexpr double wrong = 1e9;
  if (wanted != wanted) return got != got ? 0 : wrong;
  const float rounded = static_cast<float>(wanted);
  if (std::isinf(got) && got == rounded) return 0;
  if (got != got) return wrong;
  if (std::isinf(rounded))
    return std::abs(got) == std::numeric_limits<float>::max() && std::signbit(got) == std::signbit(rounded) ? 1 : wrong;
  int exponent = 0;
  std::frexp(wanted, &exponent);
  if (std::isinf(got))
    return std::abs(wanted) > 0x1.fffffcp127 && std::signbit(got) == std::signbit(rounded) ? 1 : wrong;
  return std::abs(got - wanted) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

struct Worst {
  double ulps = 0;
  float at = 0;
};

// Every `step`-th float of all 2^32, NaNs and subnormals among them.
template <class F, class G>
Worst sweep(const F& f, const G& g, uint32_t step) {
  Worst worst;
  uint64_t bits = 0;
  for (; bits < uint64_t{1} << 32; bits += step) {
    const float x = weft::detail::bits_float(static_cast<uint32_t>(bits));
    const double distance = ulps(f(x), g(static_cast<double>(x)));
    if (distance > worst.ulps) worst = {distance, x};
  }
  return worst;
}

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }
double softplus_of(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr uint32_t step = 1999;  // a prime: some two million values

}  // namespace

TEST_CASE("math: float functions are within a few units in the last place of the double ones") {
  struct Case {
    const char* name;
    Float f;
    Double g;
    double most;
  };
  const Case cases[] = {
      {"exp", [](float x) { return math::exp(x); }, [](double x) { return std::exp(x); }, 1.1},
      {"log", [](float x) { return math::log(x); }, [](double x) { return std::log(x); }, 1},
      {"tanh", [](float x) { return math::tanh(x); }, [](double x) { return std::tanh(x); }, 1.5},
      {"erf", [](float x) { return math::erf(x); }, [](double x) { return std::erf(x); }, 1.5},
      {"sqrt", [](float x) { return math::sqrt(x); }, [](double x) { return std::sqrt(x); }, 0.5},
      {"sigmoid", [](float x) { return math::sigmoid(x); }, sigmoid_of, 2.5},
      {"softplus", [](float x) { return math::softplus(x); }, softplus_of, 2.5},
      {"log1p", [](float x) { return math::log1p(x); }, [](double x) { return std::log1p(x); }, 2},
      {"expm1", [](float x) { return math::expm1(x); }, [](double x) { return std::expm1(x); }, 2},
      {"sin", [](float x) { return math::sin(x); }, [](double x) { return std::sin(x); }, 2},
      {"cos", [](float x) { return math::cos(x); }, [](double x) { return std::cos(x); }, 2},
  };
  for (const Case& c : cases) {
    const Worst worst = sweep(c.f, c.g, step);
    CAPTURE(std::string(c.name));
    CAPTURE(worst.at);
    CHECK(worst.ulps <= c.most);
    CHECK(worst.ulps > 0);  // some value must have been compared with a rounded one
  }
}

TEST_CASE("math: pow follows the standard's table of special cases and rounds nearly right") {
  for (const float y : {2.0f, 3.0f, 0.5f, -0.5f, -1.0f, -3.0f, 1.5f, 37.3f, -12.25f, 1e-3f, 0x1p24f, 0.0f, infinity,
                        -infinity, std::numeric_limits<float>::quiet_NaN()}) {
    const Worst worst =
        sweep([y](float x) { return math::pow(x, y); }, [y](double x) { return std::pow(x, double(y)); }, 65537);
    CAPTURE(y);
    CAPTURE(worst.at);
    CHECK(worst.ulps <= 0.6);
  }
  const float special[] = {0.0f,  -0.0f, 1.0f,  -1.0f,    2.0f,      -2.0f,  0.5f,
                           -0.5f, 3.0f,  -3.0f, infinity, -infinity, 1e-40f, std::numeric_limits<float>::quiet_NaN()};
  for (const float x : special)
    for (const float y : special) {
      const float got = math::pow(x, y);
      const double wanted = std::pow(double(x), double(y));
      CAPTURE(x);
      CAPTURE(y);
      CHECK(ulps(got, wanted) <= 1);
      if (wanted == wanted) CHECK(std::signbit(got) == std::signbit(wanted));
    }
}

TEST_CASE("math: sin and cos near multiples of pi / 2 keep all their digits") {
  // The floats next to k pi / 2, where the result is the rounding of the argument; and those at the largest sizes.
  double most = 0;
  for (int k = 1; k < 200000; k += 7) {
    const float x = static_cast<float>(k * 1.5707963267948966);
    for (const float v : {x, std::nextafter(x, infinity), std::nextafter(x, -infinity), -x}) {
      most = std::max(most, ulps(math::sin(v), std::sin(static_cast<double>(v))));
      most = std::max(most, ulps(math::cos(v), std::cos(static_cast<double>(v))));
    }
  }
  for (const float v : {0x1.fffffep127f, 0x1.47d0fep34f, 0x1.921fb6p+1f, 0x1.921fb6p+0f, 16367173.0f * 0x1p72f})
    most = std::max(most, ulps(math::cos(v), std::cos(static_cast<double>(v)))),
    most = std::max(most, ulps(math::sin(v), std::sin(static_cast<double>(v))));
  CHECK(most <= 2);
  CHECK(most > 0);
}

TEST_CASE("math: the new functions at zeros, ends and outside their domain") {
  for (const float zero : {0.0f, -0.0f}) {
    CHECK(std::signbit(math::sin(zero)) == std::signbit(zero));
    CHECK(std::signbit(math::expm1(zero)) == std::signbit(zero));
    CHECK(std::signbit(math::log1p(zero)) == std::signbit(zero));
    CHECK(math::cos(zero) == 1.0f);
  }
  CHECK(std::isnan(math::sin(infinity)));
  CHECK(std::isnan(math::cos(-infinity)));
  CHECK(math::log1p(-1.0f) == -infinity);
  CHECK(std::isnan(math::log1p(-1.5f)));
  CHECK(math::expm1(-infinity) == -1.0f);
  CHECK(math::expm1(89.0f) == infinity);
}

TEST_CASE("math: rounding, remainders and powers of integers") {
  CHECK(math::round_to_even(0.5f) == 0.0f);
  CHECK(math::round_to_even(1.5) == 2.0);
  CHECK(math::round_to_even(-2.5f) == -2.0f);
  CHECK(math::round_to_even(int64_t{7}) == 7);
  CHECK(std::signbit(math::round_to_even(-0.25f)));
  CHECK(math::floor(-0.5f) == -1.0f);
  CHECK(math::ceil(0.25) == 1.0);
  const int lowest = std::numeric_limits<int>::min();
  CHECK(math::remainder(-7, 3) == 2);
  CHECK(math::remainder(7, -3) == -2);
  CHECK(math::remainder(6, -3) == 0);
  CHECK(math::remainder(5, 0) == 0);
  CHECK(math::remainder(lowest, -1) == 0);
  CHECK(math::remainder(uint8_t{250}, uint8_t{7}) == 5);
  CHECK(math::remainder(-5.5f, 2.0f) == 0.5f);
  CHECK(math::remainder(5.5, -2.0) == -0.5);
  CHECK(math::remainder(-1.0f, infinity) == infinity);
  CHECK(std::isnan(math::remainder(1.0f, 0.0f)));
  CHECK(math::pow(3, 5) == 243);
  CHECK(math::pow(-2, 3) == -8);
  CHECK(math::pow(int64_t{2}, int64_t{62}) == int64_t{1} << 62);
  CHECK(math::pow(0, 0) == 1);
  CHECK(math::pow(2, -1) == 0);
  CHECK(math::pow(-1, -3) == -1);
  CHECK(math::pow(-1, -4) == 1);
  CHECK(math::pow(uint8_t{3}, uint8_t{6}) == 729 % 256);
}

TEST_CASE("math: a wrong polynomial is found") {
  const Worst worst =
      sweep([](float x) { return math::exp(x) * 1.000001f; }, [](double x) { return std::exp(x); }, step);
  CHECK(worst.ulps > 4);
}

TEST_CASE("math: sign, clamp and NaN") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(math::sign(-3.0) == -1.0);
  CHECK(math::sign(0.0f) == 0.0f);
  CHECK(math::sign(7) == 1);
  CHECK(std::isnan(math::sign(nan)));
  CHECK(math::clamp(5.0f, -1.0f, 2.0f) == 2.0f);
  CHECK(math::clamp(-5.0f, -1.0f, 2.0f) == -1.0f);
  CHECK(std::isnan(math::clamp(nan, -1.0f, 2.0f)));
  CHECK(std::isnan(math::log(-1.0f)));
  CHECK(math::log(0.0f) == -infinity);
  CHECK(math::log1p(1e-10f) == 1e-10f);
  CHECK(math::log1p(infinity) == infinity);
}

TEST_CASE("convert: saturates, truncates, keeps low bits, and knows NaN") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(convert<int32_t>(3.9) == 3);
  CHECK(convert<int32_t>(-3.9f) == -3);
  CHECK(convert<int32_t>(3e9) == std::numeric_limits<int32_t>::max());
  CHECK(convert<int64_t>(-infinity) == std::numeric_limits<int64_t>::min());
  CHECK(convert<int64_t>(0x1p63f) == std::numeric_limits<int64_t>::max());
  CHECK(convert<int64_t>(0x1.fffffep62f) == 0x7fffff8000000000);
  CHECK(convert<uint8_t>(-1.0f) == 0);
  CHECK(convert<uint8_t>(255.9f) == 255);
  CHECK(convert<uint8_t>(256.0f) == 255);
  CHECK(convert<int32_t>(nan) == 0);
  CHECK(convert<uint8_t>(int64_t{257}) == 1);
  CHECK(convert<int32_t>(int64_t{1} << 32) == 0);
  CHECK(convert<bool>(nan));
  CHECK(convert<bool>(int64_t{256}));
  CHECK_FALSE(convert<bool>(-0.0f));
  CHECK(static_cast<float>(convert<Half>(1.0 + 0x1p-11)) == 1.0f);
  CHECK(static_cast<float>(convert<BFloat16>(int64_t{257})) == 256.0f);
  CHECK(convert<double>(Half(0.5f)) == 0.5);
}
