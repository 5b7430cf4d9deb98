// Files as weft::data reads them: whole, with errors that name them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/tensor/error.h"

namespace weft::data {

/// A file that is missing, not whole, or not what it says.
class FileError : public Error {
  using Error::Error;
};

/// The bytes of a file. Throws FileError naming it.
std::vector<uint8_t> read_file(const std::string& path);
/// The same, unpacked if it is a gzip file; at most `limit` bytes are unpacked. Throws FileError, also where the packed
/// stream is cut off or its checksum is wrong.
std::vector<uint8_t> read_packed_file(const std::string& path, int64_t limit);
/// Writes beside the file first and renames then, so that no half file is seen. Throws FileError.
void write_file(const std::string& path, const std::vector<uint8_t>& bytes);

}  // namespace weft::data
