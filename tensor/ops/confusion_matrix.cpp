#include "weft/tensor/ops/confusion_matrix.h"

#include "weft/tensor/labels.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(ConfusionMatrixArgs, confusion_matrix_kernel);

namespace ops {
namespace {

constexpr int64_t most_classes = 32768;  // so that a bin's number fits 32 bits

void check_classes_of(const char* what, const Tensor& x) {
  const DType type = x.dtype();
  WEFT_CHECK(DtypeError, type == DType::i64 || type == DType::i32 || type == DType::u8, "confusion_matrix: ", what,
             " are ", type, "; convert them with .to(DType::i64)");
}

}  // namespace

Tensor confusion_matrix(const Tensor& predictions, const Tensor& labels, int64_t classes, int64_t ignore_label) {
  check_classes_of("predictions", predictions);
  check_classes_of("labels", labels);
  check_same_device("confusion_matrix", predictions, labels);
  WEFT_CHECK(ShapeError, predictions.shape() == labels.shape(), "confusion_matrix: predictions of shape ",
             predictions.shape(), " for labels of shape ", labels.shape(), "; they must be equal");
  WEFT_CHECK(IndexError, classes > 0 && classes <= most_classes, "confusion_matrix: ", classes,
             " classes; there must be 1 … ", most_classes);
  const TensorOptions options{.dtype = DType::i64, .device = labels.device()};
  if (labels.numel() == 0) return zeros({classes, classes}, options);
  const Tensor counts = empty({classes, classes}, options);
  const Tensor p = contiguous(predictions), l = contiguous(labels);
  const int64_t ignored = ignored_label(ignore_label, labels.dtype(), classes);
  int64_t bad = labels.numel();
  profile_work(confusion_matrix_kernel, p, l, counts);
  confusion_matrix_kernel({p.dtype(), l.dtype(), l.numel(), classes, ignored, p.raw(), l.raw(), counts.data<int64_t>(),
                           labels.device().is_cpu() ? &bad : nullptr},
                          current_stream(labels.device()));
  WEFT_CHECK(IndexError, bad == labels.numel(), "confusion_matrix: label ", integer_at(l.raw(), l.dtype(), bad),
             " and prediction ", integer_at(p.raw(), p.dtype(), bad), " at flat position ", bad, " are not both of ",
             classes, " classes; classes are 0 … ", classes - 1, ", or the label is the ignored ", ignored);
  return counts;
}

}  // namespace ops
}  // namespace weft
