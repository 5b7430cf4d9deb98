#include "weft/nn/models/sliding_window.h"

#include <algorithm>
#include <cmath>

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/flip.h"
#include "weft/autograd/ops/pad.h"
#include "weft/autograd/ops/resize.h"
#include "weft/autograd/ops/softmax.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/operators.h"

namespace weft::models {

namespace {

using Net = std::function<Tensor(const Tensor&)>;

// Probabilities of one window, with those of its mirror image if asked for: [1, classes, crop, crop].
Tensor predict_window(const Net& net, const Tensor& window, bool mirrored) {
  const auto probabilities = [&](const Tensor& x) {
    const Tensor logits = net(x);
    WEFT_CHECK(ShapeError,
               logits.rank() == 4 && logits.size(0) == 1 && logits.size(2) == x.size(2) && logits.size(3) == x.size(3),
               "sliding_window: the net gave ", logits.shape(), " for a window ", x.shape(),
               "; it must give logits [1, classes, height, width]");
    return softmax(logits, 1);
  };
  const Tensor straight = probabilities(window);
  return mirrored ? (straight + flip(probabilities(flip(window, {3})), {3})) * 0.5 : straight;
}

// Where windows begin along an axis of `extent` >= crop pixels.
std::vector<int64_t> starts(int64_t extent, int64_t crop, int64_t stride) {
  std::vector<int64_t> list;
  const int64_t count = (extent - crop + stride - 1) / stride + 1;
  for (int64_t i = 0; i < count; ++i) list.push_back(std::min(i * stride, extent - crop));
  return list;
}

// Probabilities of a picture that no longer changes its size: [1, classes, h, w].
Tensor predict_scaled(const Net& net, const Tensor& image, const SlidingWindowOptions& options) {
  const int64_t h = image.size(2), w = image.size(3), crop = options.crop;
  const int64_t below = std::max<int64_t>(crop - h, 0), right = std::max<int64_t>(crop - w, 0);
  const Tensor padded = below + right > 0 ? pad(image, {0, below, 0, right}, {.values = options.padding}) : image;
  Tensor sum, count;
  for (const int64_t top : starts(padded.size(2), crop, options.stride))
    for (const int64_t left : starts(padded.size(3), crop, options.stride)) {
      const auto part = [&](const Tensor& x) { return x.slice(2, top, top + crop).slice(3, left, left + crop); };
      const Tensor scores = predict_window(net, part(padded), options.flip);
      if (!sum.defined()) {
        sum = zeros({1, scores.size(1), padded.size(2), padded.size(3)},
                    {.dtype = scores.dtype(), .device = scores.device()});
        count = zeros({1, 1, padded.size(2), padded.size(3)}, {.dtype = scores.dtype(), .device = scores.device()});
      }
      part(sum).add_(scores);
      part(count).add_(ones({1, 1, crop, crop}, {.dtype = scores.dtype(), .device = scores.device()}));
    }
  return (sum / count).slice(2, 0, h).slice(3, 0, w);
}

}  // namespace

Tensor sliding_window(const Net& net, const Tensor& image, const SlidingWindowOptions& options) {
  WEFT_CHECK(ShapeError, image.rank() == 4 && image.size(0) == 1 && image.numel() > 0, "sliding_window: the image is ",
             image.shape(), "; it must be [1, channels, height, width]");
  WEFT_CHECK(Error,
             options.base > 0 && options.crop > 0 && options.stride > 0 && options.stride <= options.crop &&
                 !options.scales.empty(),
             "sliding_window: base ", options.base, ", crop ", options.crop, ", stride ", options.stride, ", ",
             static_cast<int64_t>(options.scales.size()),
             " scales; all must be positive, and the stride at most the crop");
  const autograd::NoGrad no_grad;
  const int64_t h = image.size(2), w = image.size(3), longer = std::max(h, w), shorter = std::min(h, w);
  Tensor sum;
  for (const double scale : options.scales) {
    WEFT_CHECK(Error, scale > 0, "sliding_window: scale ", scale, "; it must be positive");
    const auto long_side = static_cast<int64_t>(std::ceil(static_cast<double>(options.base) * scale));
    const int64_t short_side = std::max<int64_t>(1, (2 * shorter * long_side + longer) / (2 * longer));  // rounded
    const Tensor scaled = resize(image, h > w ? Pair(long_side, short_side) : Pair(short_side, long_side));
    const Tensor scores = resize(predict_scaled(net, scaled, options), Pair(h, w));
    sum = sum.defined() ? sum + scores : scores;
  }
  return sum / static_cast<double>(options.scales.size());
}

}  // namespace weft::models
