// Four groups of the regions that the AAL atlas (Tzourio-Mazoyer et al. 2002) was drawn with on the training head
// itself, as classes 1 … 4 of its slices. Slabs of it are kept for the test.
#pragma once

#include <weft/nn/data/palette.h>

#include <string>
#include <vector>

#include "heads.h"

namespace heads {

inline const char* const region_files[] = {training_files[0], "/usr/share/mricron/templates/aal.nii.gz"};
inline const std::vector<std::string> region_names = {"other", "cortex", "hippocampus", "deep nuclei", "cerebellum"};
inline const data::Palette region_colors = {{0, 0, 0}, {70, 130, 240}, {240, 60, 60}, {250, 200, 40}, {60, 190, 90}};

/// Of the atlas' 116 numbers; hippocampus is with its gyrus and the amygdala, deep nuclei are caudate, putamen,
/// pallidum and thalamus.
inline uint8_t group_of(int region) {
  if (region < 1 || region > 116) return 0;
  if (region >= 37 && region <= 42) return 2;
  if (region >= 71 && region <= 78) return 3;
  return region >= 91 ? 4 : 1;
}

struct Parts {
  std::vector<data::Sample> training, test;
};

/// Slabs of 8 mm from back to front, every fourth for the test. Slices less than 3 mm off a test slab are not used at
/// all: a neighbour would show the answer.
inline Parts region_slices() {
  const data::Volume image = data::to_ras(data::read_nifti(region_files[0]));
  const data::Volume regions = data::to_ras(data::read_nifti(region_files[1]));
  if (image.extent != regions.extent)
    fail<data::FileError>("brain: '", std::string(region_files[0]), "' and '", std::string(region_files[1]),
                          "' differ in size");
  // Numbers of regions have no mean: the label is the voxel's in the middle of the pixel.
  const auto label = [&](double x, int64_t j, double z) {
    const int64_t i = std::llround(x), k = std::llround(z);
    const bool inside = i >= 0 && k >= 0 && i < regions.extent[0] && k < regions.extent[2];
    return inside ? group_of(static_cast<int>(regions.at(i, j, k))) : uint8_t{0};
  };
  Parts parts;
  for (data::Sample& slice : slices_of(image, label)) {
    const int64_t place = std::stoll(slice.name.substr(slice.name.rfind(' '))) % 32;
    if (place >= 24)
      parts.test.push_back(std::move(slice));
    else if (place >= 2 && place < 22)
      parts.training.push_back(std::move(slice));
  }
  return parts;
}

/// One weight a class: 1 / sqrt(its part of the pixels), so that the small ones are not given up; their mean is 1.
inline std::vector<float> class_weights(const std::vector<data::Sample>& slices, size_t classes) {
  std::vector<double> count(classes, 1);
  for (const data::Sample& slice : slices)
    for (const uint8_t label : slice.labels) ++count[label];
  double sum = 0;
  for (const double n : count) sum += 1 / std::sqrt(n);
  std::vector<float> weights;
  for (const double n : count)
    weights.push_back(static_cast<float>(static_cast<double>(classes) / (std::sqrt(n) * sum)));
  return weights;
}

}  // namespace heads
