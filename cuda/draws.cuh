// Draws: the words of neighbouring elements of one random call; a block of Philox serves all of its elements.
#pragma once

#include "weft/cuda/platform.cuh"
#include "weft/tensor/philox.h"

namespace weft::cuda {

class Draws {
 public:
  __device__ explicit Draws(const RandomCall& call) : call_(call) {}
  __device__ philox::Words block(uint64_t number) {
    if (!known_ || number != number_) {
      words_ = philox::block_words(call_, number);
      number_ = number;
      known_ = true;
    }
    return words_;
  }
  /// As philox::word_of and philox::long_word_of; `index` counts from the start of the whole batch.
  __device__ uint32_t word(uint64_t index) { return philox::pick(block(index >> 2), index); }
  __device__ uint64_t long_word(uint64_t index) { return pair(block(index >> 1), index & 1); }

  /// Two words of a block as one, the first as its high half.
  __device__ static uint64_t pair(const philox::Words& words, uint64_t which) {
    return which ? uint64_t{words.w2} << 32 | words.w3 : uint64_t{words.w0} << 32 | words.w1;
  }

 private:
  RandomCall call_;
  philox::Words words_ = {};
  uint64_t number_ = 0;
  bool known_ = false;
};

}  // namespace weft::cuda
