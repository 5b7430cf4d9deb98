#include "weft/autograd/losses.h"

#include <limits>

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/where.h"
#include "weft/autograd/reduced.h"
#include "weft/tensor/labels.h"
#include "weft/tensor/ops/geometry.h"

namespace weft::autograd {

namespace {

void check_range(const char* operation, const Tensor& labels, int64_t classes, int64_t ignore_label) {
  const std::vector<int64_t> values = labels.to_vector<int64_t>();
  for (size_t i = 0; i < values.size(); ++i)
    WEFT_CHECK(IndexError, values[i] == ignore_label || (values[i] >= 0 && values[i] < classes), operation, ": label ",
               values[i], " at flat position ", i, " is not one of ", classes, " classes; labels are 0 … ", classes - 1,
               ", or the ignored ", ignore_label);
}

// [1, …, C, …, 1]: one value per class, to broadcast against x.
Tensor along(const Tensor& v, int rank, int axis) {
  Shape shape = Dims::filled(rank, 1);
  shape[axis] = v.numel();
  return v.reshape(shape);
}

void check_labels(const char* operation, const Tensor& x, const Tensor& labels, const Tensor& weights, int axis) {
  ops::check_same_device(operation, x, labels);
  const int64_t classes = x.shape()[axis];
  Shape expected = x.shape();
  expected.erase(axis);
  WEFT_CHECK(ShapeError, labels.shape() == expected, operation, ": labels of shape ", labels.shape(), " for scores ",
             x.shape(), " with classes along axis ", axis, "; they must have shape ", expected);
  const DType type = labels.dtype();
  WEFT_CHECK(DtypeError, type == DType::i64 || type == DType::i32 || type == DType::u8, operation, ": labels are ",
             type, "; convert them with .to(DType::i64)");
  if (!weights.defined()) return;
  WEFT_CHECK(AutogradError, !tracked(weights), operation, ": class weights take no gradient; use weights.detach()");
  ops::check_same_device(operation, x, weights);
  WEFT_CHECK(ShapeError, weights.shape() == Shape{classes}, operation, ": weights of shape ", weights.shape(), " for ",
             classes, " classes; they must have shape [", classes, "]");
}

}  // namespace

ClassLabels class_labels(const char* operation, const Tensor& x, const Tensor& labels, const Tensor& weights,
                         int64_t axis, int64_t ignore) {
  ops::check_floating(operation, x);
  const int a = normalize_axis(operation, axis, x.rank());
  check_labels(operation, x, labels, weights, a);
  const NoGrad pause;
  const int64_t classes = x.shape()[a], ignore_label = ignored_label(ignore, labels.dtype(), classes);
  if (x.device().is_cpu()) check_range(operation, labels, classes, ignore_label);
  const TensorOptions wide{.dtype = compute_dtype(x.dtype()), .device = x.device()};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor all = labels.to(DType::i64),
               ignored = full({}, static_cast<double>(ignore_label), {.dtype = DType::i64, .device = x.device()});
  const Tensor counts = not_equal(all, ignored);
  const Tensor numbers = arange(0, static_cast<double>(classes), 1, {.dtype = DType::i64, .device = x.device()});
  const Tensor one_hot = where(counts.unsqueeze(a), equal(all.unsqueeze(a), along(numbers, x.rank(), a)), 0.0);
  Tensor weight = ones(labels.shape(), wide);
  if (weights.defined()) weight = sum(where(one_hot, along(weights.to(wide.dtype), x.rank(), a), 0.0), {.axes = {a}});
  weight = where(less(all, 0.0), nan, where(greater_equal(all, static_cast<double>(classes)), nan, weight));
  return {a, one_hot, counts, where(counts, weight, 0.0)};
}

Tensor without_ignored(const Tensor& x, const ClassLabels& labels) {
  return where(labels.counts.unsqueeze(labels.axis), x, 0.0);
}

Tensor at_labels(const Tensor& x, const ClassLabels& labels) {
  return sum(where(labels.one_hot, x, 0.0), {.axes = {labels.axis}});
}

Tensor reduced(const Tensor& losses, LossReduction reduction, const Tensor& weight) {
  if (reduction == LossReduction::none) return losses;
  Tensor total = sum(losses);
  if (reduction == LossReduction::sum) return total;
  if (!weight.defined()) return total / static_cast<double>(losses.numel() > 0 ? losses.numel() : 1);
  const Tensor all = sum(weight);
  return total / where(equal(all, 0.0), 1.0, all);
}

Tensor widened(const char* operation, const Tensor& x) {
  ops::check_floating(operation, x);
  return widened(x);
}

}  // namespace weft::autograd
