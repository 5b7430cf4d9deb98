// Online hard example mining: which positions of an image are hard enough to learn from.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

struct OhemOptions {
  double threshold = 0.6;     ///< positions whose label has at most this probability are hard
  int64_t min_keep = 256;     ///< but at least this many of each image are kept, those of the largest loss
  int64_t axis = 1;           ///< of the classes
  int64_t ignore_label = -1;  ///< in u8, -1 is 255
};

/// logits [N, C, d…], labels [N, d…] of i64, i32 or u8 -> labels of the same shape and dtype, in which the positions
/// that are not hard are ignored: what any loss with an ignored label then takes. Chosen image by image, so that it
/// does not depend on how a batch is split; positions that tie with the last one kept are kept. Never recorded. Error
/// unless the labels' dtype holds the ignored label. Labels that are no class: as cross_entropy.
Tensor ohem_labels(const Tensor& logits, const Tensor& labels, const OhemOptions& options = {});

}  // namespace weft
