#include "weft/nn/data/file.h"

#include <zlib.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace weft::data {

namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

File open(const char* operation, const std::string& path, const char* mode) {
  File file(std::fopen(path.c_str(), mode));
  WEFT_CHECK(data::FileError, file != nullptr, operation, ": '", path, "': ", std::string(std::strerror(errno)),
             "; check the path and its rights");
  return file;
}

struct CloseGzip {
  void operator()(gzFile_s* file) const { gzclose_r(file); }
};

constexpr size_t piece = size_t{1} << 20;

}  // namespace

std::vector<uint8_t> read_file(const std::string& path) {
  const File file = open("read_file", path, "rb");
  std::vector<uint8_t> bytes;
  for (size_t got = piece; got == piece;) {
    const size_t at = bytes.size();
    bytes.resize(at + piece);
    got = std::fread(bytes.data() + at, 1, piece, file.get());
    bytes.resize(at + got);
  }
  WEFT_CHECK(data::FileError, !std::ferror(file.get()), "read_file: '", path, "': ", std::string(std::strerror(errno)),
             "; is it a file that can be read?");
  return bytes;
}

std::vector<uint8_t> read_packed_file(const std::string& path, int64_t limit) {
  open("read_file", path, "rb");  // zlib has no words for a missing file
  const std::unique_ptr<gzFile_s, CloseGzip> file(gzopen(path.c_str(), "rb"));
  WEFT_CHECK(data::FileError, file != nullptr, "read_file: '", path, "' cannot be opened; is there memory left?");
  std::vector<uint8_t> bytes;
  while (static_cast<int64_t>(bytes.size()) < limit) {
    const size_t at = bytes.size();
    const size_t wanted = std::min(piece, static_cast<size_t>(limit) - at);
    bytes.resize(at + wanted);
    const int got = gzread(file.get(), bytes.data() + at, static_cast<unsigned>(wanted));
    int code = Z_OK;
    const char* text = gzerror(file.get(), &code);
    WEFT_CHECK(data::FileError, got >= 0 && (code == Z_OK || code == Z_STREAM_END), "read_file: '", path, "': ", text,
               " after ", at, " unpacked bytes; the file is damaged or cut off");
    bytes.resize(at + static_cast<size_t>(got));
    if (static_cast<size_t>(got) < wanted) break;
  }
  return bytes;
}

void write_file(const std::string& path, const std::vector<uint8_t>& bytes) {
  const std::string beside = path + ".part";
  File file = open("write_file", beside, "wb");
  const bool whole = bytes.empty() || std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
  const bool closed = std::fclose(file.release()) == 0;
  if (!whole || !closed || std::rename(beside.c_str(), path.c_str()) != 0) {
    const int error = errno;
    std::remove(beside.c_str());
    fail<FileError>("write_file: '", path, "': ", std::string(std::strerror(error)), "; is the disk full?");
  }
}

}  // namespace weft::data
