// Augmentations: functions from a sample to a sample; what is random comes from the sample's own generator.
#pragma once

#include <cstdint>

#include "weft/nn/data/sample.h"
#include "weft/tensor/philox.h"

namespace weft::data {

/// The random numbers of one sample in one epoch: a pure function of (seed, epoch, index), whatever thread makes it.
class SampleRandom {
 public:
  SampleRandom(uint64_t seed, uint64_t epoch, uint64_t index) : call_{seed, epoch << 32 | index, 0} {}
  uint32_t word() { return philox::word_of(call_, next_++); }
  /// In [low, high).
  double uniform(double low = 0, double high = 1) { return low + (high - low) * (word() * 0x1p-32); }
  bool chance(double p) { return uniform() < p; }
  /// In 0 … n - 1.
  int64_t below(int64_t n) { return static_cast<int64_t>(uint64_t{word()} * static_cast<uint64_t>(n) >> 32); }
  /// Of mean 0 and deviation 1.
  double normal();

 private:
  RandomCall call_;
  uint64_t next_ = 0;
};

struct AffineRange {
  double scale = 0.15;  ///< factor in 1 - scale … 1 + scale
  double angle = 0.2;   ///< radians, either way
  double shift = 0.1;   ///< part of height and width, either way
  uint8_t outside = 0;  ///< label where the picture has no pixel; the image is 0 there
};
/// Turns about the centre, scales and moves; bilinear in the image, nearest in the labels.
Sample random_affine(const Sample& sample, const AffineRange& range, SampleRandom& random);
/// Left becomes right.
Sample mirror(const Sample& sample);
/// max(v, 0)^g, g between 1 / (1 + range) and 1 + range, log-uniform; best on values near 0 … 1.
Sample random_gamma(Sample sample, double range, SampleRandom& random);
/// Adds normal noise of a deviation uniform in 0 … most.
Sample random_noise(Sample sample, double most, SampleRandom& random);

/// Bilinear in the image (pixel centres, as resize() without aligned corners), nearest in the labels.
Sample resize_to(const Sample& sample, int64_t height, int64_t width);
/// The longer side becomes `side`, the other one follows in proportion.
Sample resize_long_side(const Sample& sample, int64_t side);
/// The shorter side becomes `side`.
Sample resize_short_side(const Sample& sample, int64_t side);
/// Adds pixels on the right and at the bottom up to the given size: image 0, labels `ignore`.
Sample pad_to(const Sample& sample, int64_t height, int64_t width, uint8_t ignore);
/// Throws ShapeError unless the window lies in the picture.
Sample crop(const Sample& sample, int64_t top, int64_t left, int64_t height, int64_t width);
/// Gaussian, with a deviation in pixels.
Sample blur(const Sample& sample, double deviation);
/// (v / 255 - mean) / deviation by channel, with the statistics of ImageNet; 3 channels.
Sample normalize(Sample sample);

struct SegmentationOptions {
  int64_t base = 520;    ///< training scales the long side to [base / 2, 2 base]
  int64_t crop = 480;    ///< side of the square that comes out
  uint8_t ignore = 255;  ///< label of padding
};
/// Mirror, random scale, padding, random crop, blur (each half of the time for mirror and blur), normalised.
Sample augment_for_training(const Sample& sample, const SegmentationOptions& options, SampleRandom& random);
/// Short side to the crop, its centre, normalised.
Sample prepare_for_validation(const Sample& sample, const SegmentationOptions& options);

}  // namespace weft::data
