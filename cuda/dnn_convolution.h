// Convolution: what keys cuDNN's plans, the description of a convolution without addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "weft/tensor/ops/conv2d.h"

namespace weft::cuda {

/// Equal convolutions have equal plans on one kind of device. Names as in Conv2dArgs.
struct Convolution {
  ConvPass pass = ConvPass::forward;
  DType dtype = DType::f32;
  bool tf32 = false;              ///< f32 operands may be rounded to TF32
  bool nondeterministic = false;  ///< sums may be taken in any order
  bool bias = false;              ///< added in the same pass, before the one rounding; forward only
  bool relu = false;              ///< max(y, 0) after the bias, before the one rounding; forward only
  int64_t alignment = 16;         ///< of the addresses, in bytes; at least the element's size
  int64_t n = 0, c = 0, h = 0, w = 0;
  int64_t o = 0, kh = 0, kw = 0;
  int64_t oh = 0, ow = 0;
  int64_t groups = 1;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t top = 0, bottom = 0, left = 0, right = 0;

  friend bool operator==(const Convolution&, const Convolution&) = default;
};
struct ConvolutionHash {
  size_t operator()(const Convolution& key) const noexcept;
};

/// The key of `args`, with its bias and ReLU if there are such. Paddings below and to the right that no output reads
/// are chosen equal to those above and to the left where that gives the same output: for equal ones cuDNN has more
/// engines.
Convolution describe(const Conv2dArgs& args, bool nondeterministic);
/// "data f32 8x64x120x120, 128 of 3x3 s2 d1 g1 p1", with " + bias", " + relu"
std::string to_string(const Convolution& key);

/// cuDNN's engines may count elements in 32 bits: how many images of x and y, at most, one call may be given. 0 if not
/// even one, or if w is too large too, or for the filter pass, which adds up over all images, if they are too many.
int64_t images_at_once(const Conv2dArgs& args);
/// The part of a convolution that concerns images [first, first + count).
Conv2dArgs images_of(const Conv2dArgs& args, int64_t first, int64_t count);

}  // namespace weft::cuda
