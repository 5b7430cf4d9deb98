// Losses for unbalanced or hard pixels. All choose and normalise per image and then sum, so the loss of a batch does
// not depend on how it is split over devices.
#pragma once

#include "weft/nn/loss_parts.h"

namespace weft::nn {

struct FocalLossOptions {
  double gamma = 2;
  int64_t ignore_label = -1;  ///< in u8, -1 is 255
  Tensor weights = {};        ///< one per class ("alpha"), on the host
};

/// -weights[y] (1 - p_y)^gamma log p_y with p = softmax(logits) (Lin et al. 2017), over the weights: gamma 0 is cross
/// entropy. Logits [N, C, d…], labels [N, d…] of an integer dtype; on the CPU a label out of range throws IndexError,
/// on CUDA it makes the loss NaN.
class FocalLoss {
 public:
  /// Throws Error unless gamma is 0 or at least 1, below which the gradient has no bound.
  explicit FocalLoss(FocalLossOptions options = {});
  LossParts parts(const Tensor& logits, const Tensor& labels) const;
  Tensor operator()(const Tensor& logits, const Tensor& labels) const { return parts(logits, labels).mean(); }

 private:
  FocalLossOptions options_;
};

struct DiceLossOptions {
  double smooth =
      1;  ///< added to both sides of the fraction, so that an absent class that is not predicted costs nothing
  int64_t ignore_label = -1;  ///< in u8, -1 is 255
};

/// Per image 1 - mean over classes of (2 sum p g + smooth) / (sum p + sum g + smooth), p = softmax(logits), g the
/// labels as 0 and 1, sums over the pixels that count (Milletari et al. 2016). Images weigh 1. Arguments as FocalLoss.
class DiceLoss {
 public:
  /// Throws Error unless smooth > 0.
  explicit DiceLoss(DiceLossOptions options = {});
  LossParts parts(const Tensor& logits, const Tensor& labels) const;
  Tensor operator()(const Tensor& logits, const Tensor& labels) const { return parts(logits, labels).mean(); }

 private:
  DiceLossOptions options_;
};

struct OHEMLossOptions {
  double threshold = 0.6;     ///< pixels whose own class is less likely than this are kept …
  int64_t min_keep = 256;     ///< … and the least likely ones of each image up to this many
  int64_t ignore_label = -1;  ///< in u8, -1 is 255
  Tensor weights = {};        ///< one per class, on the host
};

/// Cross entropy of the hard pixels of each image (online hard example mining, Shrivastava et al. 2016): those with
/// p_y <= max(threshold, the min_keep-th smallest p_y of the image). Pixels as hard as the last one kept are kept too,
/// so nothing depends on their order. Arguments as FocalLoss.
class OHEMLoss {
 public:
  /// Throws Error unless threshold lies in (0, 1] and min_keep >= 0.
  explicit OHEMLoss(OHEMLossOptions options = {});
  LossParts parts(const Tensor& logits, const Tensor& labels) const;
  Tensor operator()(const Tensor& logits, const Tensor& labels) const { return parts(logits, labels).mean(); }

 private:
  OHEMLossOptions options_;
};

}  // namespace weft::nn
