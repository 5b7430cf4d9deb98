#include "weft/tensor/ops/confusion_matrix.h"

#include "weft/tensor/cpu/loops.h"

namespace weft {
namespace {

// In one thread: counting takes less time than reading, and partial matrices would take more memory than the input.
void confusion_matrix(const ConfusionMatrixArgs& a, Stream) {
  const auto is_class = [&](int64_t c) { return c >= 0 && c < a.classes; };
  for (int64_t i = 0; i < a.classes * a.classes; ++i) a.counts[i] = 0;
  for (int64_t i = 0; i < a.numel; ++i) {
    const int64_t label = integer_at(a.labels, a.label_dtype, i);
    if (label == a.ignore_label) continue;
    const int64_t prediction = integer_at(a.predictions, a.prediction_dtype, i);
    if (is_class(label) && is_class(prediction))
      ++a.counts[label * a.classes + prediction];
    else
      *a.bad = smaller(*a.bad, i);
  }
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() { WEFT_PLUG(confusion_matrix_kernel, confusion_matrix); }
