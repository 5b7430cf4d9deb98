// Reading NumPy's .npz as the golden files are written: .npy entries, stored (not compressed), little-endian, C order.
#pragma once

#include <map>
#include <string>

#include "tests/support/array.h"

namespace weft::test {

struct NpyArray {
  Array values;
  DType dtype = DType::f32;
};

/// Arrays by name, without ".npy". Throws Error naming the file and what is wrong with it.
std::map<std::string, NpyArray> read_npz(const std::string& path);
/// One .npy file's bytes.
NpyArray parse_npy(std::string_view bytes, const std::string& name);

}  // namespace weft::test
