// Counts of what was predicted where which label stood: what accuracy and mean intersection over union come from.
#pragma once

#include "weft/tensor/dtype.h"
#include "weft/tensor/kernel.h"

namespace weft {
class Tensor;

/// counts[label * classes + prediction] = number of positions; numel > 0, classes * classes < 2^31. Positions with the
/// ignored label do not count, whatever was predicted there. A label or prediction that is no class: the CPU lowers
/// *bad to the first such position; on CUDA bad is null, the position is left out and an error marked.
struct ConfusionMatrixArgs {
  DType prediction_dtype, label_dtype;  ///< i64, i32 or u8
  int64_t numel, classes, ignore_label;
  const void* predictions;
  const void* labels;
  int64_t* counts;  ///< [classes, classes]
  int64_t* bad;
};
extern Kernel<ConfusionMatrixArgs> confusion_matrix_kernel;

/// Element i of integers of dtype i64, i32 or u8.
WEFT_INLINE int64_t integer_at(const void* values, DType dtype, int64_t i) {
  if (dtype == DType::i64) return static_cast<const int64_t*>(values)[i];
  if (dtype == DType::i32) return static_cast<const int32_t*>(values)[i];
  return static_cast<const uint8_t*>(values)[i];
}

namespace ops {
/// predictions and labels of one shape, i64, i32 or u8 -> i64 [classes, classes], rows by label.
Tensor confusion_matrix(const Tensor& predictions, const Tensor& labels, int64_t classes, int64_t ignore_label);
}  // namespace ops

}  // namespace weft
