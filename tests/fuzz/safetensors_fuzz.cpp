// Any bytes as a safetensors file, and as the index of several: refused with CheckpointError, or all promises hold.
#include <cstdlib>

#include "weft/nn/safetensors_index.h"

using namespace weft;
using namespace weft::nn;

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

void check(const safetensors::Header& header, size_t size) {
  require(header.data_start <= size);
  uint64_t end = 0;
  std::set<std::string> names;
  for (const safetensors::Entry& entry : header.tensors) {
    require(names.insert(entry.name).second);
    require(entry.begin == end && entry.end >= end && entry.end <= size - header.data_start);
    end = entry.end;
    DType dtype;
    try {
      dtype = safetensors::dtype_of(entry.dtype);
    } catch (const DtypeError&) {
      continue;
    }
    require(static_cast<uint64_t>(numel_of(entry.shape) * size_of(dtype)) == entry.end - entry.begin);
  }
  require(header.data_start + end == size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    check(safetensors::parse_header({reinterpret_cast<const std::byte*>(data), size}), size);
  } catch (const CheckpointError&) {
  }
  try {
    for (const auto& [file, tensors] : safetensors::parse_index({reinterpret_cast<const char*>(data), size}))
      require(!tensors.empty() && file.find('/') == std::string::npos);
  } catch (const CheckpointError&) {
  }
  return 0;
}
