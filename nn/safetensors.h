// Files of named tensors in the safetensors format: 8 bytes of header length, a JSON header, the tensors' bytes.
// Reading trusts nothing: every number of the header is checked before memory is taken or touched.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weft/tensor/tensor.h"

namespace weft::nn {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

namespace safetensors {

inline constexpr uint64_t max_header_bytes = uint64_t{16} << 20;

struct Entry {
  std::string name;
  std::string dtype;  ///< as the file says it, "F32"
  Shape shape;
  uint64_t begin = 0, end = 0;  ///< in bytes from the start of the data
};
struct Header {
  std::vector<Entry> tensors;  ///< in the order of their data
  std::map<std::string, std::string> metadata;
  uint64_t data_start = 0;  ///< in bytes from the start of the file
};

/// The header of a whole file's bytes; pure. Throws CheckpointError, beginning with `name`, unless: the length fits the
/// file and max_header_bytes; the JSON has the format's form, no name twice; ranks are at most 8; extents times size
/// give the length of the data, without overflow; data follows without holes or overlaps and ends with the file.
/// A dtype that the format does not know is listed, its size unchecked.
Header parse_header(std::span<const std::byte> file, std::string_view name = "safetensors");

/// The dtype of "F32", "F16", …; throws DtypeError for those weft has no elements of.
DType dtype_of(const std::string& name);
std::string name_of(DType dtype);

}  // namespace safetensors

/// A safetensors file, mapped into memory while this lives.
class SafetensorsFile {
 public:
  /// Throws CheckpointError where the file cannot be read or is not valid.
  explicit SafetensorsFile(const std::string& path);

  const safetensors::Header& header() const { return header_; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  /// Null if there is none of that name.
  const safetensors::Entry* find(std::string_view name) const;
  /// A new tensor on the host. Throws IndexError for an unknown name, DtypeError for a dtype that weft does not have.
  Tensor load(std::string_view name) const;
  /// True: the file carries weft's checksum and it is right. False: it carries none, as weft writes it. Throws
  /// CheckpointError if it is wrong. Reads the whole file.
  bool verify() const;

 private:
  std::string path_;
  uint64_t size_ = 0;                       // set while bytes_ is made
  std::shared_ptr<const std::byte> bytes_;  // the mapping
  safetensors::Header header_;
};

/// Writes tensors of any device and layout, in row-major order, those of larger elements first and then by name, so
/// that data is aligned. Adds the metadata "weft.checksum", of header and data. The path holds the complete old or the
/// complete new file at any time (AtomicFile). Throws CheckpointError, Error on a name that is empty, reserved, not
/// UTF-8, or given twice.
void write_safetensors(const std::string& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace weft::nn
