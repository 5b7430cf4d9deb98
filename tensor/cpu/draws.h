// Random words for runs of elements. For kernel files: internal linkage.
#pragma once

#include "weft/tensor/cpu/loops.h"
#include "weft/tensor/philox.h"

namespace weft {
namespace {

inline constexpr int64_t block_group = 16;               // Philox blocks drawn side by side
inline constexpr int64_t group_words = 4 * block_group;  // words that they hold

#if defined(__AVX2__)
typedef uint64_t Longs __attribute__((vector_size(32)));

// The product of the lower halves: one instruction, which GCC does not find in the general form.
WEFT_INLINE Longs low_product(const Longs& a, uint32_t factor) {
#if defined(__clang__)
  return (a & 0xffffffffu) * factor;
#else
  typedef int Ints __attribute__((vector_size(32)));
  return reinterpret_cast<Longs>(
      __builtin_ia32_pmuludq256(reinterpret_cast<Ints>(a), reinterpret_cast<Ints>(Longs{} + factor)));
#endif
}

/// The words of blocks block, …, block + 7, in order. A lane holds a word in its lower half; what gathers in the upper
/// one is dropped at the end.
WEFT_INLINE void draw_eight(const RandomCall& call, uint64_t block, uint32_t* out) {
  Longs w0[2], w1[2], w2[2], w3[2];
  for (int l = 0; l < 2; ++l) {
    w0[l] = Longs{0, 1, 2, 3} + (block + static_cast<uint64_t>(4 * l));
    w1[l] = w0[l] >> 32;
    w2[l] = Longs{} + philox::low_half(call.call);
    w3[l] = Longs{} + philox::high_half(call.call);
  }
  uint32_t key0 = philox::low_half(call.seed), key1 = philox::high_half(call.seed);
  for (int round = 0; round < philox::rounds; ++round) {
    for (int l = 0; l < 2; ++l) {
      const Longs a = low_product(w0[l], philox::factor0), b = low_product(w2[l], philox::factor2);
      w0[l] = (b >> 32) ^ w1[l] ^ key0;
      w1[l] = b;
      w2[l] = (a >> 32) ^ w3[l] ^ key1;
      w3[l] = a;
    }
    philox::next_key(key0, key1);
  }
  for (int l = 0; l < 2; ++l) {
    const Longs low = (w0[l] & 0xffffffffu) | w1[l] << 32, high = (w2[l] & 0xffffffffu) | w3[l] << 32;
    const Longs first = __builtin_shufflevector(low, high, 0, 4, 1, 5),
                second = __builtin_shufflevector(low, high, 2, 6, 3, 7);
    __builtin_memcpy(out + 16 * l, &first, sizeof first);
    __builtin_memcpy(out + 16 * l + 8, &second, sizeof second);
  }
}

/// The words of blocks block, block + 1, …, block + 15, in order.
WEFT_INLINE void draw_group(const RandomCall& call, uint64_t block, uint32_t* out) {
  draw_eight(call, block, out);
  draw_eight(call, block + 8, out + 32);
}
#else
WEFT_INLINE void draw_group(const RandomCall& call, uint64_t block, uint32_t* out) {
  for (int64_t l = 0; l < block_group; ++l) {
    const philox::Words words = philox::block_words(call, block + static_cast<uint64_t>(l));
    __builtin_memcpy(out + 4 * l, &words, sizeof words);
  }
}
#endif

/// Calls body(i, count, words) for runs of [begin, end): words[k] is the 32-bit draw of element `start` + i + k.
template <class Body>
WEFT_INLINE void for_words(const RandomCall& call, uint64_t start, int64_t begin, int64_t end, const Body& body) {
  uint32_t words[group_words];
  while (begin < end) {
    const uint64_t first = start + static_cast<uint64_t>(begin);
    const int64_t skip = static_cast<int64_t>(first & 3);
    const int64_t count = smaller(group_words - skip, end - begin);
    draw_group(call, first >> 2, words);
    body(begin, count, words + skip);
    begin += count;
  }
}

}  // namespace
}  // namespace weft
