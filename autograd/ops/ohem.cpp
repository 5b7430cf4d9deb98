// kept: loss_i >= min(-log threshold, the min_keep-th largest loss of the image)
#include "weft/autograd/ops/ohem.h"

#include <cmath>
#include <limits>

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/cross_entropy.h"
#include "weft/autograd/ops/kth_largest.h"
#include "weft/autograd/ops/where.h"
#include "weft/tensor/labels.h"

namespace weft {

Tensor ohem_labels(const Tensor& logits, const Tensor& labels, const OhemOptions& options) {
  WEFT_CHECK(Error, options.threshold > 0 && options.threshold <= 1 && options.min_keep >= 0, "ohem_labels: threshold ",
             options.threshold, " must be in (0, 1] and min_keep ", options.min_keep, " not negative");
  const int64_t classes = logits.size(options.axis),
                ignore_label = ignored_label(options.ignore_label, labels.dtype(), classes);
  WEFT_CHECK(Error, labels.dtype() != DType::u8 || (ignore_label >= 0 && ignore_label < 256),
             "ohem_labels: labels of uint8 cannot hold the ignored label ", ignore_label,
             "; convert them with .to(DType::i64)");
  const autograd::NoGrad pause;
  const Tensor loss = cross_entropy(
      logits, labels, {.axis = options.axis, .ignore_label = ignore_label, .reduction = LossReduction::none});
  const double ignored = static_cast<double>(ignore_label), none = -std::numeric_limits<double>::infinity();
  if (labels.numel() == 0) return labels.clone();
  const int64_t images = labels.rank() > 1 ? labels.shape()[0] : 1, positions = labels.numel() / images;
  const Tensor counts = not_equal(labels, ignored);
  const Tensor scores = where(counts, loss, none).reshape({images, positions});
  Tensor limit = full({images, 1}, -std::log(options.threshold), {.dtype = loss.dtype(), .device = loss.device()});
  if (options.min_keep > 0)
    limit = minimum(limit, kth_largest(scores, std::min(options.min_keep, positions)).unsqueeze(1));
  return where(greater_equal(scores, limit).reshape(labels.shape()), labels, ignored);
}

}  // namespace weft
