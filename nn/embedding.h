// Embedding: a table of vectors, looked up by number.
#pragma once

#include "weft/nn/module.h"

namespace weft::nn {

struct EmbeddingOptions {
  int64_t padding = -1;  ///< a row that is zero and is not trained; -1: none
};

class Embedding : public Layer {
 public:
  /// Values normal with deviation 1, as in PyTorch. Throws ShapeError unless both numbers are positive, IndexError
  /// where the table has no row `padding`.
  Embedding(int64_t rows, int64_t width, EmbeddingOptions options = {});
  /// Numbers of rows, i32 or i64, of any shape S -> [S, width]. A number out of range is an IndexError, on CUDA at the
  /// next synchronisation.
  Tensor forward(const Tensor& index) const override;
  std::string describe() const override;

  Parameter weight;  // [rows, width]
  WEFT_MEMBERS(weight)

 private:
  EmbeddingOptions options_;
};

}  // namespace weft::nn
