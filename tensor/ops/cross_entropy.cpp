#include "weft/tensor/ops/cross_entropy.h"

#include "weft/tensor/labels.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/work.h"
#include "weft/tensor/tensor.h"

namespace weft {

WEFT_KERNEL(CrossEntropyArgs, cross_entropy_kernel);
WEFT_KERNEL(CrossEntropyBackwardArgs, cross_entropy_backward_kernel);
WEFT_KERNEL(CrossEntropySecondArgs, cross_entropy_second_kernel);

namespace ops {
namespace {

// Dense tensors and what kernels are told about them.
struct Prepared {
  Tensor logits, labels, weights;
  CrossEntropyInput input;
  int64_t positions;
};

// Logits whose positions, without the class axis, lie in row-major order as those of the labels do: x itself or a copy.
Tensor with_positions_in_order(const Tensor& x, int axis) {
  bool fits = is_permuted_dense(x.shape(), x.strides());
  int64_t last = INT64_MAX;
  for (int i = 0; fits && i < x.rank(); ++i) {
    if (i == axis || x.shape()[i] == 1) continue;
    fits = x.strides()[i] < last;
    last = x.strides()[i];
  }
  return fits ? x : contiguous(x);
}

Tensor prepare_weights(const Tensor& weights, const Tensor& logits, int64_t classes) {
  if (!weights.defined()) return weights;
  check_same_device("cross_entropy", logits, weights);
  check_floating("cross_entropy", weights);
  WEFT_CHECK(ShapeError, weights.shape() == Shape{classes}, "cross_entropy: weights of shape ", weights.shape(),
             " for ", classes, " classes; they must have shape [", classes, "]");
  return contiguous(cast(weights, compute_dtype(logits.dtype())));
}

Prepared prepare(const Tensor& logits, const Tensor& labels, const Tensor& weights,
                 const CrossEntropySettings& settings) {
  check_floating("cross_entropy", logits);
  check_same_device("cross_entropy", logits, labels);
  const int axis = normalize_axis("cross_entropy", settings.axis, logits.rank());
  const int64_t classes = logits.shape()[axis];
  Shape expected = logits.shape();
  expected.erase(axis);
  WEFT_CHECK(ShapeError, labels.shape() == expected, "cross_entropy: labels of shape ", labels.shape(), " for logits ",
             logits.shape(), " with classes along axis ", axis, "; they must have shape ", expected);
  const DType type = labels.dtype();
  WEFT_CHECK(DtypeError, type == DType::i64 || type == DType::i32 || type == DType::u8, "cross_entropy: labels are ",
             type, "; convert them with .to(DType::i64)");
  WEFT_CHECK(ShapeError, classes > 0, "cross_entropy: logits of shape ", logits.shape(), " have no classes");
  Prepared p{.logits = with_positions_in_order(logits, axis),
             .labels = contiguous(labels),
             .weights = prepare_weights(weights, logits, classes),
             .input = {},
             .positions = labels.numel()};
  const AxisSplit split = split_at(p.logits, axis);
  p.input = {logits.dtype(), type,           split.outer,
             split.n,        split.inner,    ignored_label(settings.ignore_label, type, classes),
             p.logits.raw(), p.labels.raw(), p.weights.defined() ? p.weights.raw() : nullptr};
  return p;
}

int64_t label_at(const Tensor& labels, int64_t i) {
  switch (labels.dtype()) {
    case DType::i64:
      return labels.data<int64_t>()[i];
    case DType::i32:
      return labels.data<int32_t>()[i];
    default:
      return labels.data<uint8_t>()[i];
  }
}

[[noreturn]] void fail_at(const Prepared& p, int64_t position) {
  Dims place = p.labels.shape();
  int64_t rest = position;
  for (int i = place.rank() - 1; i >= 0; --i) {
    place[i] = rest % p.labels.shape()[i];
    rest /= p.labels.shape()[i];
  }
  fail<IndexError>("cross_entropy: label ", label_at(p.labels, position), " at ", place, " is not one of ",
                   p.input.classes, " classes; labels are 0 … ", p.input.classes - 1, ", or the ignored ",
                   p.input.ignore_label);
}

// Zero or one: how dloss moves on from position to position.
int64_t dloss_stride(const Tensor& dloss, const Tensor& labels) {
  WEFT_CHECK(ShapeError, dloss.rank() == 0 || dloss.shape() == labels.shape(),
             "cross_entropy_backward: dloss of shape ", dloss.shape(), " must be a scalar or have the labels' shape ",
             labels.shape());
  return dloss.numel() > 1 ? 1 : 0;
}

const void* raw_or_null(const Tensor& x) { return x.defined() ? x.raw() : nullptr; }

}  // namespace

CrossEntropyOutputs<Tensor> cross_entropy(const Tensor& logits, const Tensor& labels, const Tensor& weights,
                                          const CrossEntropySettings& settings) {
  const Prepared p = prepare(logits, labels, weights, settings);
  const TensorOptions options{.dtype = compute_dtype(logits.dtype()), .device = logits.device()};
  const auto scalar = [&] { return p.positions > 0 ? empty({}, options) : zeros({}, options); };
  const CrossEntropyOutputs<Tensor> out{empty(labels.shape(), options), empty(labels.shape(), options), scalar(),
                                        scalar(), scalar()};
  if (p.positions == 0) return out;
  const int64_t chunks = (p.positions + cross_entropy_chunk - 1) / cross_entropy_chunk;
  const Tensor partials = empty({chunks, 2}, {.dtype = DType::f64, .device = logits.device()});
  int64_t bad = p.positions;
  profile_work(cross_entropy_kernel, p.logits, p.labels, p.weights, out.log_sum, out.loss, partials, out.sum,
               out.weight, out.mean);
  cross_entropy_kernel({p.input, out.log_sum.raw(), out.loss.raw(), partials.data<double>(), out.sum.raw(),
                        out.weight.raw(), out.mean.raw(), logits.device().is_cpu() ? &bad : nullptr},
                       current_stream(logits.device()));
  if (bad < p.positions) fail_at(p, bad);
  return out;
}

Tensor cross_entropy_backward(const Tensor& dloss, const Tensor& logits, const Tensor& labels, const Tensor& weights,
                              const Tensor& log_sum, const Tensor& weight, const CrossEntropySettings& settings) {
  const Prepared p = prepare(logits, labels, weights, settings);
  const Tensor dense = contiguous(cast(dloss, compute_dtype(logits.dtype())));
  const int64_t stride = dloss_stride(dense, labels);
  const Tensor dlogits = empty_like(p.logits);
  if (p.positions == 0) return dlogits;
  profile_work(cross_entropy_backward_kernel, p.logits, p.labels, log_sum, dense, weight, dlogits);
  cross_entropy_backward_kernel({p.input, log_sum.raw(), dense.raw(), stride, raw_or_null(weight), dlogits.raw()},
                                current_stream(logits.device()));
  return dlogits;
}

std::pair<Tensor, Tensor> cross_entropy_second(const Tensor& g, const Tensor& dloss, const Tensor& logits,
                                               const Tensor& labels, const Tensor& weights, const Tensor& log_sum,
                                               const Tensor& weight, const CrossEntropySettings& settings) {
  check_same("cross_entropy_second", g, logits);
  const Prepared p = prepare(logits, labels, weights, settings);
  const Tensor dense = contiguous(cast(dloss, compute_dtype(logits.dtype())));
  const int64_t stride = dloss_stride(dense, labels);
  const Tensor dense_g = with_strides_of(g, p.logits);
  const Tensor ddloss = empty(labels.shape(), {.dtype = dense.dtype(), .device = logits.device()});
  const Tensor dlogits = empty_like(p.logits);
  if (p.positions > 0) {
    profile_work(cross_entropy_second_kernel, p.logits, p.labels, log_sum, dense, weight, dense_g, ddloss, dlogits);
    cross_entropy_second_kernel(
        {p.input, log_sum.raw(), dense.raw(), stride, raw_or_null(weight), dense_g.raw(), ddloss.raw(), dlogits.raw()},
        current_stream(logits.device()));
  }
  return {ddloss, dlogits};
}

}  // namespace ops
}  // namespace weft
