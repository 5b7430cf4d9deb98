#include "tests/support/npz.h"

#include <cstring>
#include <fstream>
#include <iterator>

namespace weft::test {

namespace {

template <class T>
T read(std::string_view bytes, size_t at, const std::string& name) {
  WEFT_CHECK(Error, at + sizeof(T) <= bytes.size(), name, ": ends early");
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

std::string_view piece(std::string_view bytes, size_t at, size_t count, const std::string& name) {
  WEFT_CHECK(Error, at <= bytes.size() && count <= bytes.size() - at, name, ": ends early");
  return bytes.substr(at, count);
}

// What follows `key` in the header, up to one of the characters in `stop`.
std::string_view field(std::string_view header, std::string_view key, std::string_view stop, const std::string& name) {
  const size_t at = header.find(key);
  WEFT_CHECK(Error, at != std::string_view::npos, name, ": no ", key, " in the header ", header);
  const size_t begin = at + key.size();
  return header.substr(begin, header.find_first_of(stop, begin) - begin);
}

template <class T>
void convert(Array& to, std::string_view data) {
  for (int64_t i = 0; i < to.numel(); ++i) {
    T value;
    std::memcpy(&value, data.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    to[i] = static_cast<double>(value);
  }
}

}  // namespace

NpyArray parse_npy(std::string_view bytes, const std::string& name) {
  WEFT_CHECK(Error, piece(bytes, 0, 8, name) == std::string_view("\x93NUMPY\x01\x00", 8), name,
             ": not a .npy file of version 1");
  const size_t length = read<uint16_t>(bytes, 8, name);
  const std::string_view header = piece(bytes, 10, length, name);
  const std::string_view descr = field(header, "'descr': '", "'", name);
  WEFT_CHECK(Error, field(header, "'fortran_order': ", ",", name) == "False", name, ": Fortran order");
  Shape shape;
  const std::string extents(field(header, "'shape': (", ")", name));
  for (size_t at = 0; at < extents.size();) {
    size_t used = 0;
    shape.push_back(std::stoll(extents.substr(at), &used));
    at = extents.find_first_not_of(", ", at + used);
  }
  NpyArray result{Array(shape), DType::f32};
  result.dtype = descr == "<f4"   ? DType::f32
                 : descr == "<f8" ? DType::f64
                 : descr == "<i8" ? DType::i64
                                  : DType::boolean;
  WEFT_CHECK(Error, result.dtype != DType::boolean || descr == "|b1", name, ": type ", descr, " is not read here");
  const auto count = static_cast<size_t>(result.values.numel() * size_of(result.dtype));
  const std::string_view data = piece(bytes, 10 + length, count, name);
  dispatch_all(result.dtype, [&](auto tag) { convert<typename decltype(tag)::type>(result.values, data); });
  return result;
}

std::map<std::string, NpyArray> read_npz(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  WEFT_CHECK(Error, file.good(), path, ": cannot be read");
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::map<std::string, NpyArray> arrays;
  size_t at = 0;
  while (read<uint32_t>(bytes, at, path) == 0x04034b50) {  // a local header; the central directory ends the list
    WEFT_CHECK(Error, read<uint16_t>(bytes, at + 8, path) == 0, path, ": compressed");
    const size_t size = read<uint32_t>(bytes, at + 22, path);
    const size_t name_length = read<uint16_t>(bytes, at + 26, path), extra = read<uint16_t>(bytes, at + 28, path);
    std::string name(piece(bytes, at + 30, name_length, path));
    const std::string_view entry = piece(bytes, at + 30 + name_length + extra, size, path);
    const std::string where = path + ", " + name;
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    arrays[name] = parse_npy(entry, where);
    at += 30 + name_length + extra + size;
  }
  WEFT_CHECK(Error, !arrays.empty(), path, ": holds no arrays");
  return arrays;
}

}  // namespace weft::test
