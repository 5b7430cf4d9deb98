#include "weft/tensor/ops/random.h"

#include "weft/tensor/cpu/draws.h"
#include "weft/tensor/math.h"

namespace weft {
namespace {

constexpr int64_t grain = 4096;

// Pieces start where a Philox block does, whatever the offset of the first element.
WEFT_INLINE int64_t aligned(int64_t i, int64_t n, uint64_t start) {
  const int64_t block = static_cast<int64_t>((start + static_cast<uint64_t>(i)) & 3);
  return i == 0 || i == n ? i : larger<int64_t>(0, i - block);
}

template <class T>
void uniform_of(const UniformArgs& a) {
  using C = Compute<T>;
  const C low = static_cast<C>(a.low), high = static_cast<C>(a.high);
  T* out = static_cast<T*>(a.out);
  const uint64_t start = static_cast<uint64_t>(a.call.offset);
  parallel_for(a.n, grain, [&](int64_t begin, int64_t end) {
    for_words(a.call, start, aligned(begin, a.n, start), aligned(end, a.n, start),
              [&](int64_t i, int64_t count, const uint32_t* words) {
                for (int64_t k = 0; k < count; ++k) out[i + k] = philox::place<T>(philox::unit<T>(words[k]), low, high);
              });
  });
}

template <>
void uniform_of<double>(const UniformArgs& a) {
  double* out = static_cast<double*>(a.out);
  parallel_for(a.n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t index = static_cast<uint64_t>(a.call.offset + i);
      out[i] = philox::place<double>(philox::unit64(philox::long_word_of(a.call, index)), a.low, a.high);
    }
  });
}

/// sin and cos of 2 pi v for v in [0, 1), by eighths of the circle; Cephes' polynomials on [-pi/4, pi/4].
WEFT_INLINE void sin_cos(float v, float& sine, float& cosine) {
  const float quarters = 4.0f * v;
  const int32_t q = static_cast<int32_t>(quarters + 0.5f);  // NOLINT(bugprone-incorrect-roundings): not negative
  const float r = (quarters - static_cast<float>(q)) * 1.57079632679f;
  const float z = r * r;
  const float s = r + r * z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
  const float c =
      1.0f - 0.5f * z + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
  const float a = q & 1 ? c : s, b = q & 1 ? s : c;
  sine = q & 2 ? -a : a;
  cosine = (q + 1) & 2 ? -b : b;
}

// A group of blocks at a time, all its values, of which the run takes those that it covers.
template <class T>
void normal_of(const NormalArgs& a) {
  const float mean = static_cast<float>(a.mean), deviation = static_cast<float>(a.deviation);
  T* out = static_cast<T*>(a.out);
  const uint64_t start = static_cast<uint64_t>(a.call.offset);
  parallel_for(a.n, grain, [&](int64_t begin, int64_t end) {
    uint32_t words[group_words];
    float values[group_words];
    for (int64_t i = aligned(begin, a.n, start), last = aligned(end, a.n, start); i < last;) {
      const uint64_t first = start + static_cast<uint64_t>(i);
      const int64_t skip = static_cast<int64_t>(first & 3);
      const int64_t count = smaller(group_words - skip, last - i);
      draw_group(a.call, first >> 2, words);
      for (int64_t k = 0; k < group_words; k += 2) {
        const float u = static_cast<float>(static_cast<int32_t>((words[k] >> 8) + 1)) * 0x1p-24f;
        const float v = static_cast<float>(static_cast<int32_t>(words[k + 1] >> 8)) * 0x1p-24f;
        float sine, cosine;
        sin_cos(v, sine, cosine);
        const float r = math::sqrt(-2.0f * math::log(u));
        values[k] = mean + deviation * (r * cosine);
        values[k + 1] = mean + deviation * (r * sine);
      }
      for (int64_t k = 0; k < count; ++k) out[i + k] = static_cast<T>(values[skip + k]);
      i += count;
    }
  });
}

template <>
void normal_of<double>(const NormalArgs& a) {
  double* out = static_cast<double*>(a.out);
  parallel_for(a.n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t index = static_cast<uint64_t>(a.call.offset + i);
      const philox::Words w = philox::block_words(a.call, index >> 1);
      const double u = static_cast<double>(static_cast<int64_t>((uint64_t{w.w0} << 32 | w.w1) >> 11) + 1) * 0x1p-53;
      const double turn = 6.283185307179586 * philox::unit64(uint64_t{w.w2} << 32 | w.w3);
      const double r = math::sqrt(-2.0 * math::log(u));
      out[i] = a.mean + a.deviation * (r * (index & 1 ? __builtin_sin(turn) : __builtin_cos(turn)));
    }
  });
}

void uniform(const UniformArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { uniform_of<typename decltype(tag)::type>(args); });
}
void normal(const NormalArgs& args, Stream) {
  dispatch_floating(args.dtype, [&](auto tag) { normal_of<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(uniform_kernel, uniform);
  WEFT_PLUG(normal_kernel, normal);
}
