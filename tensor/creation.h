// New tensors beyond those of tensor/tensor.h (full, arange, …) and tensor/random.h (uniform, randn).
#pragma once

#include <optional>

#include "weft/tensor/tensor.h"

namespace weft {

/// `count` numbers at equal distances from start to stop, both included; {start} for one. Symmetric bounds give
/// symmetric numbers. Floating dtypes. Error if a bound is not finite or count is negative.
Tensor linspace(double start, double stop, int64_t count, const TensorOptions& options = {});
/// [rows, columns] with 1 where the indices are equal, else 0; columns = -1: as many as rows.
Tensor eye(int64_t rows, int64_t columns = -1, const TensorOptions& options = {});

/// What a tensor made after another has of its own.
struct LikeOptions {
  std::optional<DType> dtype = {};
  std::optional<Device> device = {};
};
/// Of x's shape and order in memory; dtype and device too unless given. Strides are gap-free.
Tensor full_like(const Tensor& x, double value, const LikeOptions& options = {});
Tensor zeros_like(const Tensor& x, const LikeOptions& options);
Tensor ones_like(const Tensor& x, const LikeOptions& options);

// Random tensors: one call of this thread's generator each. Elements are numbered in logical order in the whole batch
// (tensor/random.h), so the same numbers come on every device, however x lies in memory and a batch is split.

/// Uniform in [0, 1), as uniform(); row-major, floating dtypes.
Tensor rand_like(const Tensor& x, const LikeOptions& options = {});
/// Normal, as randn(); row-major, floating dtypes.
Tensor randn_like(const Tensor& x, const LikeOptions& options = {});
/// 1 with probability p, else 0; any dtype. Error unless p is in [0, 1].
Tensor bernoulli(const Shape& shape, double p, const TensorOptions& options = {});
/// 1 with the probability that stands at the element's place, else 0; of p's dtype (floating), row-major, not recorded.
/// Probabilities up to 0 and NaN never give 1, those from 1 on always.
Tensor bernoulli(const Tensor& p);
/// 0 … n - 1 in random order, every order equally likely (Fisher and Yates, by 64-bit draws; made on the host). The
/// same in all shares of a batch. DtypeError if options.dtype does not hold n - 1.
Tensor randperm(int64_t n, const TensorOptions& options = {.dtype = DType::i64});

}  // namespace weft
