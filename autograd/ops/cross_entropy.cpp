// l_i = w_i (log sum_c exp x_ic - x_i,label),   p = softmax(x);   dx_ic = dl_i w_i (p_ic - [c = label_i])
// for the gradient g of dx, with t_i = sum_c g_ic p_ic:
//   ddl_i = w_i (t_i - g_i,label),   dx_ic = dl_i w_i p_ic (g_ic - t_i)
#include "weft/autograd/ops/cross_entropy.h"

#include "weft/autograd/losses.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/log_softmax.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/where.h"
#include "weft/tensor/ops/reduce.h"

namespace weft {

namespace {

using Outputs = ops::CrossEntropyOutputs<Tensor>;

Outputs forward(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options) {
  WEFT_CHECK(AutogradError, !autograd::tracked(options.weights),
             "cross_entropy: class weights take no gradient; use weights.detach()");
  return ops::cross_entropy(logits, labels, options.weights, {options.axis, options.ignore_label});
}

// `divisor`: the weight of a mean, else undefined.
Tensor recorded(Tensor y, const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options,
                const Tensor& log_sum, const Tensor& divisor) {
  using namespace autograd;
  if (!tracked(logits)) return y;
  const CrossEntropyKept kept{Saved(labels),
                              Saved(log_sum),
                              MaybeSaved(options.weights),
                              MaybeSaved(divisor),
                              {options.axis, options.ignore_label}};
  return record("cross_entropy", y, edge(logits, [logits = saved(logits), kept](const Tensor& dloss) {
                  return cross_entropy_backward(dloss, logits, kept);
                }));
}

// Losses per position with smoothed labels, and the weights of the positions.
struct Smoothed {
  Tensor losses, weight;
};
Smoothed smoothed(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options) {
  const double s = options.label_smoothing;
  WEFT_CHECK(Error, s >= 0 && s <= 1, "cross_entropy: label smoothing ", s, " must be between 0 and 1");
  CrossEntropyOptions sharp = options;
  sharp.label_smoothing = 0;
  sharp.reduction = LossReduction::none;
  const Tensor plain = cross_entropy(logits, labels, sharp);
  const autograd::ClassLabels classes =
      autograd::class_labels("cross_entropy", logits, labels, options.weights, options.axis, options.ignore_label);
  const Tensor x = autograd::without_ignored(autograd::widened("cross_entropy", logits), classes);
  Tensor log_p = log_softmax(x, options.axis);
  if (options.weights.defined()) {
    Shape along = Dims::filled(logits.rank(), 1);
    along[classes.axis] = options.weights.numel();
    log_p = log_p * options.weights.to(log_p.dtype()).reshape(along);
  }
  const Tensor spread = where(classes.counts, -sum(log_p, {.axes = {classes.axis}}), 0.0);
  const double classes_count = static_cast<double>(logits.shape()[classes.axis]);
  return {(1 - s) * plain + s / classes_count * spread, classes.weight};
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options) {
  if (options.label_smoothing != 0) {
    const auto [losses, weight] = smoothed(logits, labels, options);
    return autograd::reduced(losses, options.reduction, weight);
  }
  const bool none = options.reduction == LossReduction::none, mean = options.reduction == LossReduction::mean;
  const Outputs out = forward(logits, labels, options);
  const Tensor& y = none ? out.loss : mean ? out.mean : out.sum;
  return recorded(y, logits, labels, options, out.log_sum, mean ? out.weight : Tensor());
}

CrossEntropySum cross_entropy_sum(const Tensor& logits, const Tensor& labels, const CrossEntropyOptions& options) {
  if (options.label_smoothing != 0) {
    const auto [losses, weight] = smoothed(logits, labels, options);
    return {sum(losses), sum(weight)};
  }
  const Outputs out = forward(logits, labels, options);
  return {recorded(out.sum, logits, labels, options, out.log_sum, Tensor()), out.weight};
}

Tensor autograd::cross_entropy_backward(const Tensor& dloss, const Tensor& logits, const CrossEntropyKept& kept) {
  Tensor dlogits =
      ops::cross_entropy_backward(dloss, logits, kept.labels, kept.weights, kept.log_sum, kept.weight, kept.settings);
  if (!tracked(dloss, logits)) return dlogits;
  const Tensor inputs[] = {dloss, logits};
  record_joint(
      "cross_entropy_backward", std::span(&dlogits, 1), inputs,
      [dloss = saved(dloss), logits = saved(logits), kept](std::span<const Tensor> dys, std::span<const bool> wanted) {
        const Tensor &g = dys[0], &dl = dloss, &x = logits;
        auto [ddloss, dx] =
            ops::cross_entropy_second(g, dl, x, kept.labels, kept.weights, kept.log_sum, kept.weight, kept.settings);
        if (dl.rank() == 0) ddloss = ops::sum(ddloss);
        const auto last = [&](const Tensor& y) { return last_derivative("cross_entropy", y, g, dl, x); };
        return Tensors{wanted[0] ? last(ddloss) : Tensor(), wanted[1] ? last(dx) : Tensor()};
      });
  return dlogits;
}

}  // namespace weft
