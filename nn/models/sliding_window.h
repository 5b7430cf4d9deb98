// Prediction on whole pictures of any size: in windows of the size a net was trained on, at several scales, and
// mirrored.
#pragma once

#include <functional>
#include <vector>

#include "weft/tensor/tensor.h"

namespace weft::models {

struct SlidingWindowOptions {
  int64_t base = 520;                ///< long side of the picture at scale 1
  int64_t crop = 480;                ///< side of a window
  int64_t stride = 320;              ///< from window to window, at most `crop`
  std::vector<double> scales = {1};  ///< the usual list: .5, .75, 1, 1.25, 1.5, 1.75
  bool flip = true;                  ///< each window a second time, mirrored
  std::vector<double> padding = {};  ///< a value per channel for what lies beyond the picture; none: 0
};

/// image [1, C, H, W] -> probabilities [1, classes, H, W], never recorded. At each scale the picture is resized (long
/// side ceil(base * scale)), padded on the right and at the bottom to at least one window, and covered by windows, of
/// which the last of a row or column ends at the edge. `net` gives logits [1, classes, crop, crop] of a window; their
/// softmax is averaged over mirrored windows, overlapping windows and scales (as gluon-cv's MultiEvalModel).
/// Throws ShapeError on another shape of image or logits, Error on numbers that are not positive.
Tensor sliding_window(const std::function<Tensor(const Tensor&)>& net, const Tensor& image,
                      const SlidingWindowOptions& options = {});

}  // namespace weft::models
