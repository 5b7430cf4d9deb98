#include "weft/nn/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "weft/autograd/record_scope.h"
#include "weft/nn/atomic_file.h"
#include "weft/nn/crc32.h"
#include "weft/nn/json.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"

namespace weft::nn {

namespace {

using safetensors::Entry;

constexpr const char* checksum_key = "weft.checksum";
constexpr size_t checksum_digits = 16;

// The file as memory; an empty file is empty memory.
std::shared_ptr<const std::byte> map_file(const std::string& path, uint64_t& size) {
  const auto fail_now = [&](int file) {
    const int reason = errno;
    if (file >= 0) ::close(file);
    fail<CheckpointError>("load: '", path, "' cannot be read: ", std::string(std::strerror(reason)));
  };
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) fail_now(file);
  struct stat status {};
  if (::fstat(file, &status) != 0) fail_now(file);
  if (!S_ISREG(status.st_mode)) {
    errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    fail_now(file);
  }
  size = static_cast<uint64_t>(status.st_size);
  if (size == 0) {
    ::close(file);
    return {};
  }
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
  if (memory == MAP_FAILED) fail_now(file);
  ::close(file);
  return {static_cast<const std::byte*>(memory),
          [size](const std::byte* p) { ::munmap(const_cast<std::byte*>(p), size); }};
}

std::string checksum_text(uint32_t header, uint32_t data) {
  char text[checksum_digits + 1];
  std::snprintf(text, sizeof text, "%08x%08x", header, data);
  return text;
}

// Where the digits of the checksum stand in the header; npos if it has none.
size_t find_checksum(std::string_view header) {
  const std::string field = detail::quote_json(checksum_key) + ":\"";
  const size_t at = header.find(field);
  if (at == std::string_view::npos || at + field.size() + checksum_digits > header.size())
    return std::string_view::npos;
  return at + field.size();
}

// Of the header and its length, the digits as zeros.
uint32_t header_checksum(std::string header) {
  if (const size_t at = find_checksum(header); at != std::string::npos)
    std::fill_n(header.begin() + static_cast<std::ptrdiff_t>(at), checksum_digits, '0');
  const uint64_t length = header.size();
  return crc32c(header.data(), header.size(), crc32c(&length, 8));
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path), bytes_(map_file(path, size_)) {
  header_ = safetensors::parse_header({bytes_.get(), size_}, "load: '" + path + "'");
}

const Entry* SafetensorsFile::find(std::string_view name) const {
  for (const Entry& entry : header_.tensors)
    if (entry.name == name) return &entry;
  return nullptr;
}

Tensor SafetensorsFile::load(std::string_view name) const {
  const Entry* entry = find(name);
  WEFT_CHECK(IndexError, entry, "load: '", path_, "' has no tensor '", name, "'");
  const DType dtype = safetensors::dtype_of(entry->dtype);
  Tensor x = empty(entry->shape, {.dtype = dtype, .device = Device()});
  const std::byte* from = bytes_.get() + header_.data_start + entry->begin;
  const uint64_t bytes = entry->end - entry->begin;
  if (dtype == DType::boolean) {  // a byte other than 0 and 1 would be no bool
    auto* to = static_cast<unsigned char*>(x.raw());
    std::transform(from, from + bytes, to, [](std::byte b) { return b != std::byte{0}; });
  } else if (bytes) {
    std::memcpy(x.raw(), from, bytes);
  }
  return x;
}

bool SafetensorsFile::verify() const {
  const std::string header(reinterpret_cast<const char*>(bytes_.get()) + 8, header_.data_start - 8);
  const auto given = header_.metadata.find(checksum_key);
  if (given == header_.metadata.end() || find_checksum(header) == std::string::npos) return false;
  const uint32_t data = crc32c(bytes_.get() + header_.data_start, size_ - header_.data_start);
  WEFT_CHECK(CheckpointError, given->second == checksum_text(header_checksum(header), data), "load: '", path_,
             "' is damaged: its checksum is ", given->second, ", its content has ",
             checksum_text(header_checksum(header), data));
  return true;
}

namespace {

// The tensors in the order of the file; throws on names that cannot be written.
std::vector<const std::pair<std::string, Tensor>*> in_order(const NamedTensors& tensors) {
  std::vector<const std::pair<std::string, Tensor>*> order;
  std::set<std::string> names;
  for (const auto& named : tensors) {
    WEFT_CHECK(Error, !named.first.empty() && named.first != "__metadata__", "save: a tensor cannot be called '",
               named.first, "'");
    WEFT_CHECK(Error, names.insert(named.first).second, "save: two tensors are called '", named.first, "'");
    order.push_back(&named);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    const int64_t x = size_of(a->second.dtype()), y = size_of(b->second.dtype());
    return x != y ? x > y : a->first < b->first;
  });
  return order;
}

std::string header_text(const std::vector<const std::pair<std::string, Tensor>*>& order,
                        std::map<std::string, std::string> metadata) {
  metadata[checksum_key] = std::string(checksum_digits, '0');
  std::string text = "{\"__metadata__\":{";
  for (const auto& [key, value] : metadata)
    text += (text.back() == '{' ? "" : ",") + detail::quote_json(key) + ":" + detail::quote_json(value);
  text += "}";
  int64_t offset = 0;
  for (const auto* named : order) {
    const Tensor& x = named->second;
    std::string shape;
    for (const int64_t extent : x.shape()) shape += (shape.empty() ? "" : ",") + std::to_string(extent);
    const int64_t end = offset + x.numel() * size_of(x.dtype());
    text +=
        weft::detail::concat(",", detail::quote_json(named->first), ":{\"dtype\":\"", safetensors::name_of(x.dtype()),
                             "\",\"shape\":[", shape, "],\"data_offsets\":[", offset, ",", end, "]}");
    offset = end;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  WEFT_CHECK(CheckpointError, text.size() <= safetensors::max_header_bytes, "save: a header of ", text.size(),
             " bytes; the limit is ", safetensors::max_header_bytes);
  return text;
}

}  // namespace

void write_safetensors(const std::string& path, const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const autograd::NoGrad pause;
  const auto order = in_order(tensors);
  const std::string header = header_text(order, metadata);
  AtomicFile file(path);
  const uint64_t length = header.size();
  file.write(&length, 8);
  file.write(header.data(), header.size());
  uint32_t data = 0;
  for (const auto* named : order) {
    const Tensor x = ops::contiguous(ops::to(named->second.detach(), Device()));
    const auto bytes = static_cast<size_t>(x.numel() * size_of(x.dtype()));
    data = crc32c(x.raw(), bytes, data);
    file.write(x.raw(), bytes);
  }
  const std::string checksum = checksum_text(header_checksum(header), data);
  file.write_at(8 + find_checksum(header), checksum.data(), checksum.size());
  file.commit();
}

}  // namespace weft::nn
