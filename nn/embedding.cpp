#include "weft/nn/embedding.h"

#include "weft/autograd/ops/gather.h"
#include "weft/nn/init.h"

namespace weft::nn {

Embedding::Embedding(int64_t rows, int64_t width, EmbeddingOptions options) : options_(options) {
  WEFT_CHECK(ShapeError, rows > 0 && width > 0, "Embedding: ", rows, " rows of ", width, "; both must be positive");
  WEFT_CHECK(IndexError, options.padding >= -1 && options.padding < rows, "Embedding: padding is row ", options.padding,
             " of ", rows);
  Tensor table = init::normal({rows, width}, 0, 1);
  if (options.padding >= 0) table.slice(0, options.padding, options.padding + 1).zero_();
  weight = Parameter(table);
}

Tensor Embedding::forward(const Tensor& index) const {
  return embedding(weight.on(index.device()), index, {.padding = options_.padding});
}

std::string Embedding::describe() const {
  return weft::detail::concat("Embedding(", weight.shape()[0], " of ", weight.shape()[1], ")");
}

}  // namespace weft::nn
