#include "weft/nn/data/image.h"

namespace weft::data {

Image read_image(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  if (bytes.size() > 2 && bytes[0] == 0xFF && bytes[1] == 0xD8) return read_jpeg(path);
  WEFT_CHECK(data::FileError, bytes.size() > 4 && bytes[0] == 0x89 && bytes[1] == 'P' && bytes[2] == 'N',
             "read_image: '", path, "' begins neither as a PNG nor as a JPEG file does; convert it to one of them");
  return read_png(path);
}

Image to_rgb(const Image& image) {
  if (image.channels == 3) return image;
  Image rgb{image.height, image.width, 3, {}};
  rgb.pixels.reserve(static_cast<size_t>(image.height * image.width * 3));
  for (size_t i = 0; i < image.pixels.size(); i += static_cast<size_t>(image.channels))
    for (size_t c = 0; c < 3; ++c) rgb.pixels.push_back(image.pixels[image.channels < 3 ? i : i + c]);
  return rgb;
}

}  // namespace weft::data
