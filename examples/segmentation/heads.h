// Two heads as coronal slices of 96x96 pixels at 2 mm, seen from the front with the crown up: from the volumes that two
// Debian packages bring, or generated.
#pragma once

#include <weft/nn/data/augment.h>
#include <weft/nn/data/nifti.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <vector>

namespace heads {

using namespace weft;

constexpr int64_t side = 96;  // pixels
constexpr double step = 2;    // mm a pixel

struct Head {
  data::Volume image, brain;  // the same grid; brain is 1 inside and 0 outside
};

inline const char* const training_files[] = {"/usr/share/mricron/templates/ch2.nii.gz",
                                             "/usr/share/mricron/templates/ch2bet.nii.gz"};
inline const char* const test_files[] = {
    "/usr/share/doc/insighttoolkit5-examples/examples/Data/KmeansTest_T1UCharRaw.nii.gz",
    "/usr/share/doc/insighttoolkit5-examples/examples/Data/KmeansTest_T1RawSkullStrip.nii.gz"};

inline bool installed() {
  return std::ranges::all_of(training_files, [](const char* file) { return std::ifstream(file).good(); }) &&
         std::ranges::all_of(test_files, [](const char* file) { return std::ifstream(file).good(); });
}

/// `is_brain` tells from the mask's value whether a voxel is brain.
template <class IsBrain>
Head read_head(const char* const (&files)[2], IsBrain is_brain) {
  Head head{data::to_ras(data::read_nifti(files[0])), data::to_ras(data::read_nifti(files[1]))};
  if (head.image.extent != head.brain.extent)
    fail<data::FileError>("brain: '", std::string(files[0]), "' and '", std::string(files[1]), "' differ in size");
  for (float& value : head.brain.values) value = is_brain(value) ? 1 : 0;
  return head;
}

/// A head of ellipsoids: skin and skull, a gap, a brain with folds; place, size and brightness follow the seed.
inline Head generate_head(uint64_t seed) {
  data::SampleRandom random(seed, 0, 0);
  Head head;
  head.image.extent = {80, 96, 80};
  head.image.spacing = {2.2, 2, 2.2};
  head.brain = head.image;
  double radius[3], center[3], fold[3];
  for (int axis = 0; axis < 3; ++axis) {
    radius[axis] = random.uniform(26, 32);
    center[axis] = random.uniform(37, 43) + (axis == 1 ? 8 : 0);
    fold[axis] = random.uniform(0.4, 0.8);
  }
  const double bright = random.uniform(90, 130);
  for (double z = 0; z < 80; ++z)
    for (double y = 0; y < 96; ++y)
      for (double x = 0; x < 80; ++x) {
        const double dx = x - center[0], dy = (y - center[1]) / 1.2, dz = z - center[2];
        const double r = std::sqrt(dx * dx / (radius[0] * radius[0]) + dy * dy / (radius[1] * radius[1]) +
                                   dz * dz / (radius[2] * radius[2]));
        const double folds = std::sin(fold[0] * dx) + std::sin(fold[1] * dy) + std::sin(fold[2] * dz);
        const bool brain = r < 0.85 + 0.03 * folds;
        const bool skin = r > 0.97 && r < 1.12;
        head.brain.values.push_back(brain);
        const double tissue = brain ? bright + 12 * folds : 1.2 * bright;
        head.image.values.push_back(
            static_cast<float>(brain || skin ? tissue + random.uniform(-12, 12) : random.uniform(0, 9)));
      }
  return head;
}

/// The value below which 99 % of the voxels above 10 lie.
inline float percentile_99(const data::Volume& volume) {
  std::vector<float> values;
  std::ranges::copy_if(volume.values, std::back_inserter(values), [](float v) { return v > 10; });
  const auto place = values.begin() + static_cast<int64_t>(0.99 * static_cast<double>(values.size()));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

/// The middle, in voxels along an axis, of what is brighter than 10.
inline double middle(const data::Volume& volume, int axis) {
  int64_t first = volume.extent[static_cast<size_t>(axis)], last = 0;
  for (int64_t k = 0; k < volume.extent[2]; ++k)
    for (int64_t j = 0; j < volume.extent[1]; ++j)
      for (int64_t i = 0; i < volume.extent[0]; ++i)
        if (volume.at(i, j, k) > 10) {
          const int64_t at = axis == 0 ? i : axis == 1 ? j : k;
          first = std::min(first, at), last = std::max(last, at);
        }
  return std::round(static_cast<double>(first + last) / 2);
}

/// Trilinear needs no third axis here: slice j, blended in x and z; 0 outside.
inline double blend(const data::Volume& volume, double x, int64_t j, double z) {
  const double left = std::floor(x), low = std::floor(z), fx = x - left, fz = z - low;
  const auto value = [&](int64_t i, int64_t k) -> double {
    return i < 0 || k < 0 || i >= volume.extent[0] || k >= volume.extent[2] ? 0 : volume.at(i, j, k);
  };
  const auto i = static_cast<int64_t>(left), k = static_cast<int64_t>(low);
  return (1 - fz) * ((1 - fx) * value(i, k) + fx * value(i + 1, k)) +
         fz * ((1 - fx) * value(i, k + 1) + fx * value(i + 1, k + 1));
}

/// The mean over a pixel of 2 mm: of four points half a millimetre off its middle where voxels are finer than that,
/// else the value in the middle.
inline double pixel(const data::Volume& volume, double x, int64_t j, double z) {
  const double off_x = volume.spacing[0] < 1.5 ? 0.5 / volume.spacing[0] : 0;
  const double off_z = volume.spacing[2] < 1.5 ? 0.5 / volume.spacing[2] : 0;
  return (blend(volume, x - off_x, j, z - off_z) + blend(volume, x + off_x, j, z - off_z) +
          blend(volume, x - off_x, j, z + off_z) + blend(volume, x + off_x, j, z + off_z)) /
         4;
}

/// All slices in which at least 400 pixels (16 cm²) are brighter than 10, from back to front. Intensities are divided
/// by the 99th percentile and end at 1.3. `label`: of the pixel whose middle is (x, j, z), in voxels.
template <class Label>
std::vector<data::Sample> slices_of(const data::Volume& image, const Label& label) {
  const float most = percentile_99(image);
  const double center_x = middle(image, 0), center_z = middle(image, 2);
  std::vector<data::Sample> slices;
  for (int64_t j = 0; j < image.extent[1]; ++j) {
    data::Sample slice{"slice " + std::to_string(j), side, side, 1, {}, {}};
    int64_t bright = 0;
    for (int64_t row = 0; row < side; ++row)
      for (int64_t column = 0; column < side; ++column) {
        const double x = center_x + static_cast<double>(column - side / 2) * step / image.spacing[0];
        const double z = center_z - static_cast<double>(row - side / 2) * step / image.spacing[2];
        const double value = pixel(image, x, j, z);
        bright += value > 10;
        slice.image.push_back(std::clamp(static_cast<float>(value) / most, 0.0f, 1.3f));
        slice.labels.push_back(label(x, j, z));
      }
    if (bright >= 400) slices.push_back(std::move(slice));
  }
  return slices;
}

/// With the labels 1 where most of the pixel is brain, else 0.
inline std::vector<data::Sample> slices_of(const Head& head) {
  return slices_of(head.image, [&](double x, int64_t j, double z) {
    return static_cast<uint8_t>(pixel(head.brain, x, j, z) > 0.5);
  });
}

}  // namespace heads
