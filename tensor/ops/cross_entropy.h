// Cross entropy from logits, fused: loss_i = w[label_i] (log sum_c exp(x_ic) - x_i,label_i), 0 where label_i is
// ignored. Finite whenever the logits are: the maximum is taken out first.
#pragma once

#include <utility>

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// What the three kernels share. Logits are dense, seen as [outer, classes, inner]; positions are [outer, inner].
/// C = Compute<dtype>: f32 for f16, bf16 and f32, f64 for f64.
struct CrossEntropyInput {
  DType dtype;        ///< of the logits and their gradients
  DType label_dtype;  ///< i64, i32 or u8
  int64_t outer, classes, inner;
  int64_t ignore_label;
  const void* logits;   ///< [outer, classes, inner]
  const void* labels;   ///< [outer, inner]
  const void* weights;  ///< C [classes], or null: all 1
};

/// Positions are summed in chunks of this many, each in order; the chunks' sums then in order, in double.
inline constexpr int64_t cross_entropy_chunk = 1024;

/// A label that is neither ignored nor in [0, classes): the CPU lowers *bad to the first such position (flat, in
/// [outer, inner] order); on CUDA bad is null and the position's loss is NaN.
struct CrossEntropyArgs {
  CrossEntropyInput input;
  void* log_sum;     ///< C [outer, inner]: log sum exp of every position, ignored or not
  void* loss;        ///< C [outer, inner]
  double* partials;  ///< scratch [ceil(outer inner / cross_entropy_chunk), 2]: sums of loss and weight
  void* sum;         ///< C, one value: sum of the losses
  void* weight;      ///< C, one value: sum of w[label] over the positions that count
  void* mean;        ///< C, one value, or null: sum / weight, 0 if weight is 0
  int64_t* bad;
};
/// dlogits_ic = s_i w[label_i] (exp(x_ic - log_sum_i) - [c == label_i]), 0 in ignored rows (whatever dloss holds
/// there); s_i = dloss[i * dloss_stride] / weight (0 if weight is 0). A bad label (CUDA) gives NaN.
struct CrossEntropyBackwardArgs {
  CrossEntropyInput input;
  const void* log_sum;
  const void* dloss;  ///< C, one value (stride 0) or [outer, inner] (stride 1)
  int64_t dloss_stride;
  const void* weight;  ///< C, one value, or null: 1
  void* dlogits;       ///< [outer, classes, inner]
};
/// For the gradient g of dlogits, with p = exp(x - log_sum), t_i = sum_c g_ic p_ic:
/// ddloss_i = w[label_i] (t_i - g_i,label_i) / weight,   dlogits_ic = s_i w[label_i] p_ic (g_ic - t_i);   0 where
/// ignored.
struct CrossEntropySecondArgs {
  CrossEntropyInput input;
  const void* log_sum;
  const void* dloss;
  int64_t dloss_stride;
  const void* weight;
  const void* g;  ///< [outer, classes, inner]
  void* ddloss;   ///< C [outer, inner], or null
  void* dlogits;  ///< [outer, classes, inner], or null
};
extern Kernel<CrossEntropyArgs> cross_entropy_kernel;
extern Kernel<CrossEntropyBackwardArgs> cross_entropy_backward_kernel;
extern Kernel<CrossEntropySecondArgs> cross_entropy_second_kernel;

namespace ops {
struct CrossEntropySettings {
  int64_t axis = 1;           ///< of the classes
  int64_t ignore_label = -1;  ///< positions with this label do not count; in u8, -1 is 255
};
/// What the forward pass gives, of the compute dtype: log_sum and loss have the labels' shape, the others are scalars.
template <class T>
struct CrossEntropyOutputs {
  T log_sum, loss, sum, weight, mean;
};
/// logits [N, C, d…] (C at `axis`), labels [N, d…] of i64, i32 or u8, class weights [C] or undefined.
/// On the CPU a label that is not a class and not ignored throws IndexError naming value, position and number of
/// classes.
CrossEntropyOutputs<Tensor> cross_entropy(const Tensor& logits, const Tensor& labels, const Tensor& weights,
                                          const CrossEntropySettings& settings);
/// dloss: a scalar or of the labels' shape. `weight`, if defined, divides it. Labels were checked by the forward pass.
Tensor cross_entropy_backward(const Tensor& dloss, const Tensor& logits, const Tensor& labels, const Tensor& weights,
                              const Tensor& log_sum, const Tensor& weight, const CrossEntropySettings& settings);
/// The gradients, for g of dlogits, by dloss (per position, for either form of dloss) and by the logits.
std::pair<Tensor, Tensor> cross_entropy_second(const Tensor& g, const Tensor& dloss, const Tensor& logits,
                                               const Tensor& labels, const Tensor& weights, const Tensor& log_sum,
                                               const Tensor& weight, const CrossEntropySettings& settings);
}  // namespace ops

}  // namespace weft
