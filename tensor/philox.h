// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) and how weft numbers its draws.
// The same source on the CPU and on CUDA: integers only, so words are equal everywhere.
//
// Element i of call c under seed s: 32-bit draws take word i % 4 of block i / 4, 64-bit draws words 2 (i % 2) and
// 2 (i % 2) + 1 of block i / 2. Block b is philox(counter = {b low, b high, c low, c high}, key = {s low, s high}).
#pragma once

#include <cstdint>

#include "weft/tensor/dtype.h"

namespace weft {

/// A position in the random stream: what one call of a random operation consumes.
struct RandomCall {
  uint64_t seed = 0;
  uint64_t call = 0;
  int64_t offset = 0;  ///< index of this tensor's first element in the whole batch
};

namespace philox {

/// Four words; a plain struct, so that lanes of a vector loop can hold one each.
struct Words {
  uint32_t w0, w1, w2, w3;
};

WEFT_INLINE uint32_t high_half(uint64_t x) { return static_cast<uint32_t>(x >> 32); }
WEFT_INLINE uint32_t low_half(uint64_t x) { return static_cast<uint32_t>(x); }

inline constexpr int rounds = 10;
inline constexpr uint32_t factor0 = 0xD2511F53u, factor2 = 0xCD9E8D57u;
WEFT_INLINE Words one_round(const Words& counter, uint32_t key0, uint32_t key1) {
  const uint64_t a = uint64_t{factor0} * counter.w0;
  const uint64_t b = uint64_t{factor2} * counter.w2;
  return {high_half(b) ^ counter.w1 ^ key0, low_half(b), high_half(a) ^ counter.w3 ^ key1, low_half(a)};
}
WEFT_INLINE void next_key(uint32_t& key0, uint32_t& key1) {
  key0 += 0x9E3779B9u;
  key1 += 0xBB67AE85u;
}
/// All rounds on a counter of four words under a key of two.
WEFT_INLINE Words philox4x32(Words counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < rounds; ++round) {
    counter = one_round(counter, key0, key1);
    next_key(key0, key1);
  }
  return counter;
}

/// The four words of block `block` of a call.
WEFT_INLINE Words block_words(const RandomCall& call, uint64_t block) {
  return philox4x32({low_half(block), high_half(block), low_half(call.call), high_half(call.call)}, low_half(call.seed),
                    high_half(call.seed));
}

WEFT_INLINE uint32_t pick(const Words& words, uint64_t i) {
  const uint32_t low = i & 1 ? words.w1 : words.w0;
  const uint32_t high = i & 1 ? words.w3 : words.w2;
  return i & 2 ? high : low;
}
/// The 32-bit draw of element `index` (already counted from the start of the whole batch).
WEFT_INLINE uint32_t word_of(const RandomCall& call, uint64_t index) {
  return pick(block_words(call, index >> 2), index);
}
/// The 64-bit draw of element `index`: the first word is the high half.
WEFT_INLINE uint64_t long_word_of(const RandomCall& call, uint64_t index) {
  const Words words = block_words(call, index >> 1);
  return index & 1 ? uint64_t{words.w2} << 32 | words.w3 : uint64_t{words.w0} << 32 | words.w1;
}

/// A product that no compiler contracts with the addition that follows: the same bits with and without fused
/// multiply-add.
WEFT_INLINE float product(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}
WEFT_INLINE double product(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

/// Draws of type T in [0, 1): as many of the top bits as T holds exactly (f32 24, f16 11, bf16 8; f64 53 of a long
/// word).
template <class T>
inline constexpr int unit_bits = 24;
template <>
inline constexpr int unit_bits<Half> = 11;
template <>
inline constexpr int unit_bits<BFloat16> = 8;
template <class T>
WEFT_INLINE float unit(uint32_t word) {
  constexpr float scale = 1.0f / static_cast<float>(1 << unit_bits<T>);
  return static_cast<float>(static_cast<int32_t>(word >> (32 - unit_bits<T>))) * scale;
}
WEFT_INLINE double unit64(uint64_t word) { return static_cast<double>(static_cast<int64_t>(word >> 11)) * 0x1p-53; }

/// low + u (high - low) rounded to T, in [low, high): `low` where rounding would give `high`.
template <class T, class C>
WEFT_INLINE T place(C u, C low, C high) {
  const T value = static_cast<T>(low + product(u, high - low));
  return static_cast<C>(value) < high ? value : static_cast<T>(low);
}

}  // namespace philox
}  // namespace weft
