// PNG files, written here chunk by chunk so that every kind of them exists, and what is refused.
#include <doctest/doctest.h>
#include <zlib.h>

#include "tests/nn/data/scratch.h"
#include "weft/nn/data/image.h"

using namespace weft;
using namespace weft::data;
using namespace weft::test;

namespace {

using Bytes = std::vector<uint8_t>;
enum ColorType : uint8_t { grey = 0, rgb = 2, indexed = 3, grey_alpha = 4, rgb_alpha = 6 };

void add_number(Bytes& to, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<uint8_t>(value >> shift));
}

void add_chunk(Bytes& to, const std::string& type, const Bytes& content) {
  add_number(to, static_cast<uint32_t>(content.size()));
  Bytes body(type.begin(), type.end());
  body.insert(body.end(), content.begin(), content.end());
  to.insert(to.end(), body.begin(), body.end());
  add_number(to, static_cast<uint32_t>(crc32(0, body.data(), static_cast<uInt>(body.size()))));
}

// `rows`: the packed bytes of each row.
Bytes png_file(uint32_t width, uint32_t height, uint8_t bits, ColorType type, const std::vector<Bytes>& rows,
               const Bytes& palette = {}) {
  Bytes file{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  Bytes header;
  add_number(header, width);
  add_number(header, height);
  header.insert(header.end(), {bits, type, 0, 0, 0});
  add_chunk(file, "IHDR", header);
  if (!palette.empty()) add_chunk(file, "PLTE", palette);
  Bytes raw;
  for (const Bytes& row : rows) {
    raw.push_back(0);  // no filter
    raw.insert(raw.end(), row.begin(), row.end());
  }
  Bytes packed(compressBound(raw.size()));
  uLongf size = packed.size();
  compress(packed.data(), &size, raw.data(), raw.size());
  packed.resize(size);
  add_chunk(file, "IDAT", packed);
  add_chunk(file, "IEND", {});
  return file;
}

const Bytes four_colors{0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0};

}  // namespace

TEST_CASE("png: palettes are read as indices, whatever the bits") {
  const Scratch scratch;
  const std::string one = scratch.file("1.png", png_file(10, 1, 1, indexed, {{0b10110010, 0b01000000}}, four_colors));
  CHECK(read_labels(one).values == Bytes{1, 0, 1, 1, 0, 0, 1, 0, 0, 1});
  const std::string two =
      scratch.file("2.png", png_file(5, 2, 2, indexed, {{0b00011011, 0b11000000}, {0, 0b01000000}}, four_colors));
  CHECK(read_labels(two).values == Bytes{0, 1, 2, 3, 3, 0, 0, 0, 0, 1});
  const std::string four = scratch.file("4.png", png_file(3, 1, 4, indexed, {{0x12, 0x30}}, four_colors));
  CHECK(read_labels(four).values == Bytes{1, 2, 3});
  const std::string eight = scratch.file("8.png", png_file(2, 2, 8, indexed, {{3, 2}, {1, 0}}, four_colors));
  const LabelMap labels = read_labels(eight);
  CHECK(labels.height == 2);
  CHECK(labels.width == 2);
  CHECK(labels.values == Bytes{3, 2, 1, 0});
}

TEST_CASE("png: grey labels keep their values, 16 bits and colours are refused") {
  const Scratch scratch;
  const std::string few = scratch.file("2.png", png_file(4, 1, 2, grey, {{0b00011011}}));
  CHECK(read_labels(few).values == Bytes{0, 1, 2, 3});
  const std::string full = scratch.file("8.png", png_file(3, 1, 8, grey, {{0, 21, 255}}));
  CHECK(read_labels(full).values == Bytes{0, 21, 255});
  const std::string deep = scratch.file("16.png", png_file(1, 1, 16, grey, {{1, 2}}));
  const std::string deep_error = error_of([&] { read_labels(deep); });
  CHECK(contains(deep_error, deep));
  CHECK(contains(deep_error, "16 bits"));
  const std::string color = scratch.file("rgb.png", png_file(3, 1, 8, rgb, {{128, 0, 0, 0, 0, 0, 224, 224, 192}}));
  CHECK(contains(error_of([&] { read_labels(color); }), "no palette"));
  CHECK(read_labels(color, {{0, 0, 0}, {128, 0, 0}}).values == Bytes{1, 0, 255});
  CHECK(contains(error_of([&] { read_labels(color, {{0, 0, 0}}); }), "(128, 0, 0)"));
}

TEST_CASE("png: pictures of every kind become 8-bit samples") {
  const Scratch scratch;
  const auto read = [&](const Bytes& bytes) { return read_png(scratch.file("x.png", bytes)); };
  CHECK(read(png_file(4, 1, 2, grey, {{0b00011011}})).pixels == Bytes{0, 85, 170, 255});
  const Image expanded = read(png_file(2, 1, 8, indexed, {{1, 3}}, four_colors));
  CHECK(expanded.channels == 3);
  CHECK(expanded.pixels == Bytes{128, 0, 0, 128, 128, 0});
  CHECK(read(png_file(1, 2, 16, grey, {{0xFF, 0xFF}, {0x80, 0x80}})).pixels == Bytes{255, 128});
  const Image alpha = read(png_file(1, 1, 8, rgb_alpha, {{1, 2, 3, 4}}));
  CHECK(alpha.channels == 4);
  CHECK(alpha.pixels == Bytes{1, 2, 3, 4});
  CHECK(to_rgb(alpha).pixels == Bytes{1, 2, 3});
  CHECK(to_rgb(read(png_file(1, 1, 8, grey_alpha, {{7, 9}}))).pixels == Bytes{7, 7, 7});
}

TEST_CASE("png: what is written comes back") {
  const Scratch scratch;
  Image image{3, 5, 3, {}};
  for (int i = 0; i < 45; ++i) image.pixels.push_back(static_cast<uint8_t>(i * 53 % 256));
  write_png(scratch.path("rgb.png"), image);
  const Image back = read_image(scratch.path("rgb.png"));
  CHECK(back.height == 3);
  CHECK(back.width == 5);
  CHECK(back.pixels == image.pixels);
  const LabelMap labels{2, 3, {0, 1, 2, 20, 255, 0}};
  write_png(scratch.path("labels.png"), labels, voc_palette());
  CHECK(read_labels(scratch.path("labels.png")).values == labels.values);
  CHECK(to_rgb(read_png(scratch.path("labels.png"))).pixels[3] == 128);  // class 1 is (128, 0, 0)
  CHECK(!std::filesystem::exists(scratch.path("labels.png.part")));
}

TEST_CASE("png: damaged files are refused by name") {
  const Scratch scratch;
  const Bytes whole = png_file(40, 40, 8, grey, std::vector<Bytes>(40, Bytes(40, 9)));
  for (size_t length = 0; length < whole.size(); ++length) {
    const std::string path =
        scratch.file("cut.png", Bytes(whole.begin(), whole.begin() + static_cast<int64_t>(length)));
    REQUIRE(contains(error_of([&] { read_png(path); }), path));
  }
  for (const size_t at : {size_t{17}, size_t{30}, whole.size() - 20}) {  // header, its checksum, the pixels
    Bytes damaged = whole;
    damaged[at] ^= 0x10;
    CHECK(contains(error_of([&] { read_png(scratch.file("bad.png", damaged)); }), "bad.png"));
  }
  const Bytes liar = png_file(60000, 60000, 8, rgb, {{1, 2, 3}});
  CHECK(contains(error_of([&] { read_png(scratch.file("liar.png", liar)); }), "promises 60000 x 60000"));
  CHECK(contains(error_of([&] { read_png(scratch.path("none.png")); }), "none.png"));
  CHECK(contains(error_of([&] { read_image(scratch.file("text.png", {'h', 'e', 'l', 'l', 'o'})); }), "neither"));
}

TEST_CASE("png: whichever byte is wrong, a file is read or refused") {
  const Scratch scratch;
  std::vector<Bytes> rows;
  for (uint8_t y = 0; y < 9; ++y) rows.push_back({y, static_cast<uint8_t>(7 * y), 3, static_cast<uint8_t>(y * y)});
  const Bytes picture = png_file(4, 9, 8, indexed, rows, Bytes(256 * 3, 5));
  CHECK(damage_every_byte(scratch, "x.png", picture, [](const std::string& path) { read_png(path); }) > 40);
  CHECK(damage_every_byte(scratch, "x.png", picture, [](const std::string& path) { read_labels(path); }) > 40);
}

TEST_CASE("png: pictures that do not fit are not written") {
  const Scratch scratch;
  const std::string path = scratch.path("x.png");
  CHECK(contains(error_of<ShapeError>([&] { write_png(path, Image{2, 2, 3, Bytes(11)}); }), "11 samples"));
  CHECK(contains(error_of<ShapeError>([&] { write_png(path, Image{1, 1, 5, Bytes(5)}); }), "5 channels"));
  CHECK(contains(error_of<ShapeError>([&] { write_png(path, LabelMap{1, 1, {2}}, {{0, 0, 0}}); }), "label 2"));
  CHECK(contains(error_of([&] { write_png(scratch.path("no/x.png"), Image{1, 1, 1, Bytes(1)}); }), "no/x.png"));
  CHECK(!std::filesystem::exists(path));
}
