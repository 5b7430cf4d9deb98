#include <cstdio>  // jpeglib.h wants FILE

#include <jpeglib.h>

#include <csetjmp>

#include "weft/nn/data/image.h"

namespace weft::data {

namespace {

// libjpeg's error manager, with the way out and its last words.
struct Manager {
  jpeg_error_mgr base;
  std::jmp_buf out;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void give_up(j_common_ptr info) {
  auto* manager = reinterpret_cast<Manager*>(info->err);
  info->err->format_message(info, manager->message);
  std::longjmp(manager->out, 1);
}
// Level -1 is libjpeg's word for damaged data, which it would fill with grey.
void on_message(j_common_ptr info, int level) {
  if (level < 0) give_up(info);
}

struct Decoder {
  Manager manager{};
  jpeg_decompress_struct info{};
  Decoder() {
    info.err = jpeg_std_error(&manager.base);
    manager.base.error_exit = give_up;
    manager.base.emit_message = on_message;
  }
  ~Decoder() { jpeg_destroy_decompress(&info); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
};

// Runs `step`, which calls libjpeg and holds nothing that must be destroyed; false if libjpeg gave up.
template <class Step>
bool guarded(Decoder& decoder, const Step& step) {
  if (setjmp(decoder.manager.out)) return false;
  step(decoder.info);
  return true;
}

}  // namespace

Image read_jpeg(const std::string& path) {
  const std::vector<uint8_t> bytes = read_file(path);
  WEFT_CHECK(data::FileError, bytes.size() > 2 && bytes[0] == 0xFF && bytes[1] == 0xD8, "read_jpeg: '", path,
             "' does not begin as a JPEG file does; give a JPEG file");
  Decoder decoder;
  const auto check = [&](bool good) {
    WEFT_CHECK(data::FileError, good, "read_jpeg: '", path, "': ", static_cast<const char*>(decoder.manager.message),
               "; it is not a whole JPEG file");
  };
  check(guarded(decoder, [&](jpeg_decompress_struct& info) {
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, bytes.data(), bytes.size());
    jpeg_read_header(&info, TRUE);
    info.out_color_space = info.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&info);
  }));
  Image image;
  image.height = decoder.info.output_height;
  image.width = decoder.info.output_width;
  image.channels = decoder.info.output_components;
  const int64_t row = image.width * image.channels;
  WEFT_CHECK(data::FileError, row <= int64_t{4096} * static_cast<int64_t>(bytes.size()) / image.height, "read_jpeg: '",
             path, "' promises ", image.height, " x ", image.width, " pixels in ", bytes.size(),
             " bytes; the header is damaged");
  image.pixels.resize(static_cast<size_t>(image.height * row));
  check(guarded(decoder, [&](jpeg_decompress_struct& info) {
    while (info.output_scanline < info.output_height) {
      JSAMPROW to = image.pixels.data() + info.output_scanline * row;
      jpeg_read_scanlines(&info, &to, 1);
    }
    jpeg_finish_decompress(&info);
  }));
  return image;
}

}  // namespace weft::data
