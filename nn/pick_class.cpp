#include "weft/nn/pick_class.h"

#include <limits>

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/where.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/operators.h"

namespace weft::nn::detail {

namespace {

void check(const char* name, const Tensor& x, const Tensor& labels) {
  WEFT_CHECK(DtypeError, !is_floating(labels.dtype()) && labels.dtype() != DType::boolean, name, ": labels of dtype ",
             labels.dtype(), "; give an integer dtype");
  Shape expected = x.shape();
  WEFT_CHECK(ShapeError, x.rank() >= 2, name, ": input of shape ", x.shape(), "; give [N, C, d…]");
  expected.erase(1);
  WEFT_CHECK(ShapeError, labels.shape() == expected, name, ": input ", x.shape(), " needs labels ", expected, ", not ",
             labels.shape());
}

void check_labels(const char* name, const Tensor& labels, int64_t classes, int64_t ignore_label) {
  const std::vector<int64_t> values = labels.to_vector<int64_t>();
  for (size_t i = 0; i < values.size(); ++i)
    WEFT_CHECK(IndexError, values[i] == ignore_label || (values[i] >= 0 && values[i] < classes), name, ": label ",
               values[i], " at position ", i, " is not in [0, ", classes, ") and not the ignore label ", ignore_label);
}

}  // namespace

Tensor per_class(const Tensor& weights, const Tensor& x) {
  WEFT_CHECK(ShapeError, weights.rank() == 1 && weights.size(0) == x.size(1), "loss: weights of shape ",
             weights.shape(), " for ", x.size(1), " classes");
  Shape shape = Shape::filled(x.rank(), 1);
  shape[1] = x.size(1);
  return weights.to(x.device()).to(x.dtype()).reshape(shape);
}

Tensor constant_like(const Tensor& x, int64_t value) {
  return full({}, static_cast<double>(value), {.dtype = x.dtype(), .device = x.device()});
}

Picked pick_class(const char* name, const Tensor& x, const Tensor& labels, int64_t ignore_label,
                  const Tensor& weights) {
  check(name, x, labels);
  const int64_t classes = x.size(1);
  if (labels.device().is_cpu()) check_labels(name, labels, classes, ignore_label);
  Picked picked;
  Tensor bad;
  {
    const autograd::NoGrad pause;
    const Tensor wide = labels.detach().to(DType::i64);
    const Tensor counted = not_equal(wide, static_cast<double>(ignore_label));
    const Tensor numbers = arange(0, static_cast<double>(classes), 1, {.dtype = DType::i64, .device = x.device()});
    Shape shape = Shape::filled(x.rank(), 1);
    shape[1] = classes;
    picked.classes = mul(equal(wide.unsqueeze(1), numbers.reshape(shape)), counted.unsqueeze(1));
    const Tensor outside = add(less(wide, 0.0), greater_equal(wide, static_cast<double>(classes)));  // or
    bad = mul(counted, outside);                                                                     // and
    const Tensor ones = full({}, 1, {.dtype = x.dtype(), .device = x.device()});
    picked.weight = weights.defined() ? where(picked.classes, per_class(weights, x), 0).sum({.axes = {1}})
                                      : where(counted, ones, 0);
  }
  const Tensor value = where(picked.classes, x, 0).sum({.axes = {1}});
  picked.value = where(bad, std::numeric_limits<double>::quiet_NaN(), value);
  return picked;
}

}  // namespace weft::nn::detail
