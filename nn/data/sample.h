// Sample: one picture with its labels, as augmentations work on it. Batch: samples as tensors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "weft/nn/data/image.h"
#include "weft/tensor/tensor.h"

namespace weft::data {

/// Floating samples, channels interleaved: image[(y * width + x) * channels + c], and one label a pixel:
/// labels[y * width + x]. Labels may be empty.
struct Sample {
  std::string name;
  int64_t height = 0, width = 0, channels = 0;
  std::vector<float> image;
  std::vector<uint8_t> labels;
};

/// A picture with its labels; image values stay 0 … 255. Throws ShapeError where the sizes differ.
Sample make_sample(const std::string& name, const Image& image, const LabelMap& labels);

struct Batch {
  Tensor image;   ///< f32 [N, C, H, W], channels-last, on the host (page-locked where there is a GPU)
  Tensor labels;  ///< u8 [N, H, W]; undefined where samples have none
  std::vector<std::string> names;
};

/// Throws ShapeError on no samples, or naming the first one whose size differs from the first's.
Batch collate(std::span<const Sample> samples);

}  // namespace weft::data
