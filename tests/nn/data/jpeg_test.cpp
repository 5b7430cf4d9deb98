// JPEG files, encoded here by libjpeg's own writer.
#include <cstdio>  // jpeglib.h wants FILE

#include <doctest/doctest.h>
#include <jpeglib.h>

#include <cmath>
#include <cstdlib>

#include "tests/nn/data/scratch.h"
#include "weft/nn/data/image.h"

using namespace weft;
using namespace weft::data;
using namespace weft::test;

namespace {

std::vector<uint8_t> jpeg_file(const Image& image, bool progressive = false) {
  jpeg_error_mgr errors;
  jpeg_compress_struct info;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = static_cast<int>(image.channels);
  info.in_color_space = image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 95, TRUE);
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (int64_t y = 0; y < image.height; ++y) {
    auto* row = const_cast<JSAMPLE*>(&image.pixels[static_cast<size_t>(y * image.width * image.channels)]);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::vector<uint8_t> bytes(memory, memory + size);
  jpeg_destroy_compress(&info);
  std::free(memory);
  return bytes;
}

// Smooth, so that little is lost.
Image ramp(int64_t channels) {
  Image image{37, 50, channels, {}};
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x)
      for (int64_t c = 0; c < channels; ++c)
        image.pixels.push_back(static_cast<uint8_t>(c == 0 ? 3 * y + 2 * x : c == 1 ? 4 * x : 200 - 3 * y));
  return image;
}

int largest_difference(const Image& a, const Image& b) {
  int most = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) most = std::max(most, std::abs(a.pixels[i] - b.pixels[i]));
  return most;
}

}  // namespace

TEST_CASE("jpeg: grey and colour, baseline and progressive") {
  const Scratch scratch;
  for (const int64_t channels : {1, 3})
    for (const bool progressive : {false, true}) {
      const Image image = ramp(channels);
      const Image back = read_image(scratch.file("x.jpg", jpeg_file(image, progressive)));
      CHECK(back.height == 37);
      CHECK(back.width == 50);
      CHECK(back.channels == channels);
      REQUIRE(back.pixels.size() == image.pixels.size());
      CHECK(largest_difference(back, image) <= 8);
    }
}

TEST_CASE("jpeg: files that are cut off or are none are refused by name") {
  const Scratch scratch;
  const std::vector<uint8_t> whole = jpeg_file(ramp(3));
  for (size_t length = 0; length + 2 < whole.size(); length += 7) {
    const std::string path = scratch.file("cut.jpg", {whole.begin(), whole.begin() + static_cast<int64_t>(length)});
    REQUIRE(contains(error_of([&] { read_jpeg(path); }), path));
  }
  std::vector<uint8_t> liar = whole;
  for (size_t at = 0; at + 8 < liar.size(); ++at)
    if (liar[at] == 0xFF && liar[at + 1] == 0xC0) liar[at + 5] = liar[at + 7] = 0xFA;  // height and width above 64000
  CHECK(contains(error_of([&] { read_jpeg(scratch.file("liar.jpg", liar)); }), "promises"));
  CHECK(contains(error_of([&] { read_jpeg(scratch.file("text.jpg", {'n', 'o', 'n', 'e'})); }), "text.jpg"));
  CHECK(contains(error_of([&] { read_jpeg(scratch.path("none.jpg")); }), "none.jpg"));
}

TEST_CASE("jpeg: whichever byte is wrong, a file is read or refused") {
  const Scratch scratch;
  for (const bool progressive : {false, true})
    CHECK(damage_every_byte(scratch, "x.jpg", jpeg_file(ramp(3), progressive),
                            [](const std::string& path) { read_jpeg(path); }) > 100);
}
