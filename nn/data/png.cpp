#include <png.h>

#include <csetjmp>
#include <cstring>
#include <memory>

#include "weft/nn/data/image.h"

namespace weft::data {

namespace {

// What libpng's callbacks work on: bytes in memory, and its last words.
struct Stream {
  std::vector<uint8_t> bytes;
  size_t at = 0;
  std::string message;
};

void take(png_structp png, png_bytep to, size_t count) {
  auto* stream = static_cast<Stream*>(png_get_io_ptr(png));
  if (count > stream->bytes.size() - stream->at) png_error(png, "the file is cut off");
  std::memcpy(to, stream->bytes.data() + stream->at, count);
  stream->at += count;
}
void put(png_structp png, png_bytep from, size_t count) {
  auto* stream = static_cast<Stream*>(png_get_io_ptr(png));
  stream->bytes.insert(stream->bytes.end(), from, from + count);
}
void flush(png_structp) {}
void on_error(png_structp png, png_const_charp text) {
  static_cast<Stream*>(png_get_error_ptr(png))->message = text;
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

// Runs `step`, which calls libpng and holds nothing that must be destroyed; false if libpng gave up.
template <class Step>
bool guarded(png_structp png, const Step& step) {
  if (setjmp(png_jmpbuf(png))) return false;
  step();
  return true;
}

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  explicit Reader(Stream& stream) : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &stream, on_error, on_warning)) {
    if (png) info = png_create_info_struct(png);
    if (!info) throw std::bad_alloc();
    png_set_read_fn(png, &stream, take);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
};

struct Writer {
  png_structp png = nullptr;
  png_infop info = nullptr;
  explicit Writer(Stream& stream) : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, &stream, on_error, on_warning)) {
    if (png) info = png_create_info_struct(png);
    if (!info) throw std::bad_alloc();
    png_set_write_fn(png, &stream, put, flush);
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
};

void check(bool good, const char* operation, const std::string& path, const Stream& stream) {
  WEFT_CHECK(data::FileError, good, operation, ": '", path, "': ", stream.message, "; it is not a whole PNG file");
}

void ask_for(png_structp png, bool labels) {
  if (labels) return png_set_packing(png);  // few bits to bytes, as they are
  png_set_expand(png);                      // palettes to RGB, few bits to 8, transparency to alpha
  png_set_scale_16(png);
}

// The whole file, as class numbers (`labels`) or as 8-bit samples.
struct Decoded {
  Image image;
  int color_type = 0;
};
Decoded decode(const char* operation, const std::string& path, bool labels) {
  Stream stream{read_file(path), 0, {}};
  WEFT_CHECK(data::FileError, stream.bytes.size() >= 8 && png_sig_cmp(stream.bytes.data(), 0, 8) == 0, operation, ": '",
             path, "' does not begin as a PNG file does; give a PNG file");
  Reader reader(stream);
  check(guarded(reader.png, [&] { png_read_info(reader.png, reader.info); }), operation, path, stream);
  const int bits = png_get_bit_depth(reader.png, reader.info);
  WEFT_CHECK(data::FileError, !labels || bits <= 8, operation, ": '", path, "' has ", bits,
             " bits a sample; class numbers have at most 8: convert the file");
  Decoded result;
  result.color_type = png_get_color_type(reader.png, reader.info);
  int passes = 1;
  check(guarded(reader.png,
                [&] {
                  ask_for(reader.png, labels);
                  passes = png_set_interlace_handling(reader.png);
                  png_read_update_info(reader.png, reader.info);
                }),
        operation, path, stream);
  Image& image = result.image;
  image.height = png_get_image_height(reader.png, reader.info);
  image.width = png_get_image_width(reader.png, reader.info);
  image.channels = png_get_channels(reader.png, reader.info);
  const int64_t row = image.width * image.channels;
  // Deflate packs at most 1032 to 1 and a row may lie in an eighth of its bytes: a larger promise is a lie.
  WEFT_CHECK(data::FileError, row <= (int64_t{9000} * static_cast<int64_t>(stream.bytes.size())) / image.height,
             operation, ": '", path, "' promises ", image.height, " x ", image.width, " pixels in ",
             stream.bytes.size(), " bytes; the header is damaged");
  image.pixels.resize(static_cast<size_t>(image.height * row));
  check(guarded(reader.png,
                [&] {
                  for (int pass = 0; pass < passes; ++pass)
                    for (int64_t y = 0; y < image.height; ++y)
                      png_read_row(reader.png, image.pixels.data() + y * row, nullptr);
                  png_read_end(reader.png, nullptr);
                }),
        operation, path, stream);
  return result;
}

uint8_t class_of(const uint8_t* rgb, const Palette& palette, const std::string& path) {
  for (size_t k = 0; k < palette.size(); ++k)
    if (std::memcmp(palette[k].data(), rgb, 3) == 0) return static_cast<uint8_t>(k);
  constexpr Color border{224, 224, 192};
  WEFT_CHECK(data::FileError, std::memcmp(border.data(), rgb, 3) == 0, "read_labels: '", path, "' has the colour (",
             int{rgb[0]}, ", ", int{rgb[1]}, ", ", int{rgb[2]}, "), which is not in the palette; give its palette");
  return 255;
}

void encode(const std::string& path, const uint8_t* pixels, int64_t height, int64_t width, int channels,
            const Palette* palette) {
  constexpr int types[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA};
  const int type = palette ? PNG_COLOR_TYPE_PALETTE : types[channels - 1];
  std::vector<png_color> colors;
  if (palette)
    for (const Color& color : *palette) colors.push_back({color[0], color[1], color[2]});
  Stream stream;
  Writer writer(stream);
  const bool good = guarded(writer.png, [&] {
    png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), 8, type,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (palette) png_set_PLTE(writer.png, writer.info, colors.data(), static_cast<int>(colors.size()));
    png_write_info(writer.png, writer.info);
    for (int64_t y = 0; y < height; ++y) png_write_row(writer.png, pixels + y * width * channels);
    png_write_end(writer.png, nullptr);
  });
  WEFT_CHECK(data::FileError, good, "write_png: '", path, "': ", stream.message, "; check the picture's size");
  write_file(path, stream.bytes);
}

}  // namespace

Image read_png(const std::string& path) { return decode("read_png", path, false).image; }

LabelMap read_labels(const std::string& path, const Palette& palette) {
  Decoded decoded = decode("read_labels", path, true);
  Image& image = decoded.image;
  LabelMap labels{image.height, image.width, {}};
  if (decoded.color_type == PNG_COLOR_TYPE_PALETTE || decoded.color_type == PNG_COLOR_TYPE_GRAY) {
    labels.values = std::move(image.pixels);
    return labels;
  }
  WEFT_CHECK(data::FileError, image.channels == 3 && !palette.empty(), "read_labels: '", path, "' has ", image.channels,
             " channels, no palette and no single grey channel; give a palette for RGB files, or convert it");
  for (size_t i = 0; i < image.pixels.size(); i += 3)
    labels.values.push_back(class_of(&image.pixels[i], palette, path));
  return labels;
}

void write_png(const std::string& path, const Image& image) {
  WEFT_CHECK(ShapeError, image.height > 0 && image.width > 0 && image.channels >= 1 && image.channels <= 4,
             "write_png: '", path, "': ", image.height, " x ", image.width, " pixels of ", image.channels,
             " channels; a picture has at least one pixel and 1 to 4 channels");
  WEFT_CHECK(ShapeError, static_cast<int64_t>(image.pixels.size()) == image.height * image.width * image.channels,
             "write_png: '", path, "': ", image.pixels.size(), " samples do not fill ", image.height, " x ",
             image.width, " pixels of ", image.channels, " channels");
  encode(path, image.pixels.data(), image.height, image.width, static_cast<int>(image.channels), nullptr);
}

void write_png(const std::string& path, const LabelMap& labels, const Palette& palette) {
  WEFT_CHECK(ShapeError,
             labels.height > 0 && labels.width > 0 &&
                 static_cast<int64_t>(labels.values.size()) == labels.height * labels.width,
             "write_png: '", path, "': ", labels.values.size(), " labels do not fill ", labels.height, " x ",
             labels.width, " pixels");
  WEFT_CHECK(ShapeError, !palette.empty() && palette.size() <= 256, "write_png: '", path, "': a palette of ",
             palette.size(), " colours; give 1 to 256");
  for (const uint8_t label : labels.values)
    WEFT_CHECK(ShapeError, label < palette.size(), "write_png: '", path, "': label ", int{label},
               " has no colour in a palette of ", palette.size(), "; give more colours");
  encode(path, labels.values.data(), labels.height, labels.width, 1, &palette);
}

}  // namespace weft::data
