// Pictures and label maps in host memory, read from and written to PNG and JPEG files. Row 0 is the top one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/nn/data/file.h"
#include "weft/nn/data/palette.h"

namespace weft::data {

/// 8-bit samples, channels interleaved: pixels[(y * width + x) * channels + c]. Channels: 1 grey, 2 grey and alpha,
/// 3 RGB, 4 RGB and alpha.
struct Image {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> pixels;
};

/// One class number a pixel: values[y * width + x].
struct LabelMap {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> values;
};

/// A picture from a PNG or JPEG file, told apart by its first bytes. Throws FileError naming the file.
Image read_image(const std::string& path);
/// Palettes become RGB, 1, 2 and 4 bits are scaled to 8, 16 bits are rounded to 8. Throws FileError.
Image read_png(const std::string& path);
/// Grey or RGB; other colour spaces are converted. A file that is cut off or damaged is an error, not a grey patch.
Image read_jpeg(const std::string& path);
/// The same picture with 3 channels; alpha is dropped.
Image to_rgb(const Image& image);

/// Class numbers from a PNG: the indices of a palette, or grey values, of 1, 2, 4 or 8 bits, as they are stored. An RGB
/// file is mapped by `palette` (white border colours such as VOC's (224, 224, 192) become 255). Throws FileError on
/// 16 bits, RGB without a palette, or a colour that is not in it.
LabelMap read_labels(const std::string& path, const Palette& palette = {});

/// Throws FileError, or ShapeError where the pixels do not fill the picture.
void write_png(const std::string& path, const Image& image);
/// With at most 256 colours; a label without one is a ShapeError.
void write_png(const std::string& path, const LabelMap& labels, const Palette& palette);

}  // namespace weft::data
