// Volumes of medical scanners: NIfTI-1 single files, .nii and .nii.gz (https://nifti.nimh.nih.gov/nifti-1).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "weft/nn/data/file.h"

namespace weft::data {

/// extent[0] is the fastest axis: voxel (i, j, k) is values[(k * extent[1] + j) * extent[0] + i]. It lies at
/// affine · (i, j, k, 1) in mm, where x grows to the patient's right, y to the front, z to the head.
struct Volume {
  std::array<int64_t, 3> extent{};
  std::array<double, 3> spacing{1, 1, 1};  ///< mm from voxel to voxel, positive
  std::array<std::array<double, 4>, 3> affine{};
  std::vector<float> values;  ///< scaled by the file's slope and intercept, where it has them

  float at(int64_t i, int64_t j, int64_t k) const {
    return values[static_cast<size_t>((k * extent[1] + j) * extent[0] + i)];
  }
};

/// Either byte order; u8, i8, i16, u16, i32, u32, f32, f64. The affine is the file's sform, else its qform, else the
/// spacing alone. Throws FileError naming the file on a wrong header, more than one volume, or missing voxels.
Volume read_nifti(const std::string& path);

/// The same volume with axes in the order right, front, head, each growing: the order and signs that are closest to the
/// affine; nothing is resampled.
Volume to_ras(const Volume& volume);

}  // namespace weft::data
