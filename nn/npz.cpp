// .npz: a zip archive whose entries are stored .npy files (APPNOTE.TXT of PKWARE, 4.3; sizes of 64 bits are read).
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>

#include "weft/nn/atomic_file.h"
#include "weft/nn/crc32.h"
#include "weft/nn/npy.h"

namespace weft::nn {

namespace {

constexpr uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50, end_signature = 0x06054b50;
constexpr size_t local_bytes = 30, central_bytes = 46, end_bytes = 22;
constexpr uint32_t in_extra = 0xffffffff;  // the size stands in the extra field

class Archive {
 public:
  Archive(std::span<const std::byte> file, std::string_view name) : file_(file), name_(name) {}

  NamedTensors read() const {
    const size_t end = find_end();
    const auto count = number<uint16_t>(end + 10);
    size_t at = number<uint32_t>(end + 16);
    NamedTensors arrays;
    std::set<std::string> names;
    for (int i = 0; i < count; ++i) {
      check(at <= end && end - at >= central_bytes && number<uint32_t>(at) == central_signature,
            "the list of entries is broken");
      const size_t name_bytes = number<uint16_t>(at + 28), extra = number<uint16_t>(at + 30),
                   comment = number<uint16_t>(at + 32);
      check(central_bytes + name_bytes + extra + comment <= end - at, "the list of entries is broken");
      std::string entry(text(at + central_bytes, name_bytes));
      const std::string where = weft::detail::concat(name_, ", '", entry, "'");
      const std::span<const std::byte> data = data_of(at, name_bytes, extra, where);
      if (entry.ends_with(".npy")) entry.resize(entry.size() - 4);
      check(names.insert(entry).second, "a name stands twice: '" + entry + "'");
      arrays.emplace_back(entry, parse_npy(data, where));
      at += central_bytes + name_bytes + extra + comment;
    }
    return arrays;
  }

 private:
  template <class T>
  T number(size_t at) const {
    check(at <= file_.size() && sizeof(T) <= file_.size() - at, "the file is cut off");
    T value;
    std::memcpy(&value, file_.data() + at, sizeof(T));
    return value;
  }
  std::string_view text(size_t at, size_t bytes) const {
    return {reinterpret_cast<const char*>(file_.data()) + at, bytes};
  }
  void check(bool ok, const std::string& what) const { WEFT_CHECK(CheckpointError, ok, name_, ": ", what); }

  // The last record of the file, before a comment of at most 64 KiB.
  size_t find_end() const {
    for (size_t back = end_bytes; back <= file_.size() && back <= end_bytes + 0xffff; ++back)
      if (number<uint32_t>(file_.size() - back) == end_signature) return file_.size() - back;
    fail<CheckpointError>(name_, ": this is no .npz file, or it is cut off");
  }

  // The stored bytes of the entry whose central record begins at `at`.
  std::span<const std::byte> data_of(size_t at, size_t name_bytes, size_t extra, const std::string& where) const {
    WEFT_CHECK(CheckpointError, number<uint16_t>(at + 10) == 0, where,
               ": compressed; write it with numpy.savez, which does not compress");
    WEFT_CHECK(CheckpointError, (number<uint16_t>(at + 8) & 1) == 0, where, ": encrypted");
    uint64_t sizes[] = {number<uint32_t>(at + 24), number<uint32_t>(at + 20), number<uint32_t>(at + 42)};
    widen(at + central_bytes + name_bytes, extra, sizes);
    const auto [size, stored, local] = sizes;
    WEFT_CHECK(CheckpointError, size == stored, where, ": stored in ", stored, " bytes, but ", size, " long");
    check(local <= file_.size() && file_.size() - local >= local_bytes && number<uint32_t>(local) == local_signature,
          "the list of entries points nowhere");
    const uint64_t start = local + local_bytes + number<uint16_t>(local + 26) + number<uint16_t>(local + 28);
    WEFT_CHECK(CheckpointError, start <= file_.size() && size <= file_.size() - start, where, ": the data is cut off");
    const auto data = file_.subspan(start, size);
    WEFT_CHECK(CheckpointError, crc32(data.data(), data.size()) == number<uint32_t>(at + 16), where,
               ": the data is damaged, its checksum is wrong");
    return data;
  }

  // Replaces numbers that did not fit 32 bits by those of the extra field 1, which has them in this order.
  void widen(size_t at, size_t bytes, uint64_t (&values)[3]) const {
    const size_t end = at + bytes;
    while (end - at >= 4) {
      const size_t id = number<uint16_t>(at), size = number<uint16_t>(at + 2);
      at += 4;
      check(size <= end - at, "an extra field is broken");
      size_t field = at;
      for (uint64_t& value : values)
        if (id == 1 && value == in_extra && at + size - field >= 8) {
          value = number<uint64_t>(field);
          field += 8;
        }
      at += size;
    }
  }

  std::span<const std::byte> file_;
  std::string_view name_;
};

void put16(std::string& to, uint64_t value) { to.append(reinterpret_cast<const char*>(&value), 2); }
void put32(std::string& to, uint64_t value) { to.append(reinterpret_cast<const char*>(&value), 4); }

// What the local and the central record share: version, flags, method, time and date (1 January 1980), checksum, sizes.
std::string common_record(const std::string& name, const std::string& data) {
  std::string record;
  put16(record, 20), put16(record, 0x800), put16(record, 0), put16(record, 0), put16(record, 0x21);
  put32(record, crc32(data.data(), data.size()));
  put32(record, data.size()), put32(record, data.size());
  put16(record, name.size()), put16(record, 0);
  return record;
}

}  // namespace

NamedTensors parse_npz(std::span<const std::byte> file, std::string_view name) { return Archive(file, name).read(); }

NamedTensors load_npz(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  WEFT_CHECK(CheckpointError, file.good(), "load_npz: '", path, "' cannot be read");
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  return parse_npz(std::as_bytes(std::span(bytes)), "load_npz: '" + path + "'");
}

void save_npz(const std::string& path, const NamedTensors& arrays) {
  AtomicFile file(path);
  std::set<std::string> names;
  std::string central;
  for (const auto& [plain, tensor] : arrays) {
    WEFT_CHECK(Error, !plain.empty() && plain.size() < 1000 && names.insert(plain).second,
               "save_npz: an array is called '", plain, "', which is empty, too long or given twice");
    const std::string name = plain + ".npy", data = to_npy(tensor), record = common_record(name, data);
    WEFT_CHECK(CheckpointError, file.written() + data.size() + central.size() < in_extra - 65536,
               "save_npz: more than 4 GiB; save the arrays as .npy or safetensors files");
    put32(central, central_signature), put16(central, 20);
    central += record;
    put16(central, 0), put16(central, 0), put16(central, 0), put32(central, 0), put32(central, file.written());
    central += name;
    std::string local;
    put32(local, local_signature);
    local += record + name;
    file.write(local.data(), local.size());
    file.write(data.data(), data.size());
  }
  WEFT_CHECK(CheckpointError, arrays.size() < 0xffff, "save_npz: ", arrays.size(), " arrays; an archive has 65534");
  const uint64_t start = file.written();
  const size_t bytes = central.size();
  put32(central, end_signature), put16(central, 0), put16(central, 0);
  put16(central, arrays.size()), put16(central, arrays.size());
  put32(central, bytes), put32(central, start), put16(central, 0);
  file.write(central.data(), central.size());
  file.commit();
}

}  // namespace weft::nn
