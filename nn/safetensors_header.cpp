// The header of a safetensors file, from untrusted bytes.
#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <tuple>

#include "weft/nn/json.h"
#include "weft/nn/safetensors.h"

namespace weft::nn::safetensors {

namespace {

static_assert(std::endian::native == std::endian::little);

struct Format {
  const char* name;
  int bits;
  bool known;   // weft has such elements
  DType dtype;  // if so
};
constexpr Format formats[] = {
    {"F64", 64, true, DType::f64},     {"F32", 32, true, DType::f32},     {"F16", 16, true, DType::f16},
    {"BF16", 16, true, DType::bf16},   {"I64", 64, true, DType::i64},     {"I32", 32, true, DType::i32},
    {"U8", 8, true, DType::u8},        {"BOOL", 8, true, DType::boolean}, {"U64", 64, false, DType::i64},
    {"U32", 32, false, DType::i64},    {"U16", 16, false, DType::i32},    {"I16", 16, false, DType::i32},
    {"I8", 8, false, DType::i32},      {"F8_E4M3", 8, false, DType::f32}, {"F8_E5M2", 8, false, DType::f32},
    {"F8_E8M0", 8, false, DType::f32}, {"F6_E2M3", 6, false, DType::f32}, {"F6_E3M2", 6, false, DType::f32},
    {"F4", 4, false, DType::f32},      {"C64", 64, false, DType::f32},
};

const Format* format_of(const std::string& name) {
  for (const Format& format : formats)
    if (name == format.name) return &format;
  return nullptr;
}

// Follows the one form a header may have; whatever does not fit the present state is rejected.
class Reader final : public detail::JsonVisitor {
 public:
  Reader(Header& header, std::string_view name) : header_(header), name_(name) {}
  bool done() const { return state_ == State::done; }

  void start_object() override {
    if (state_ == State::before) return next(State::root);
    if (state_ != State::value) bad("an object stands where it should not");
    if (key_ == "__metadata__") return next(State::metadata);
    header_.tensors.push_back({.name = key_, .dtype = {}, .shape = {}});
    fields_ = 0;
    next(State::tensor);
  }
  void key(const std::string& key) override {
    if (state_ == State::root) {
      if (!names_.insert(key).second) bad("a name stands twice", key);
      key_ = key;
      return next(State::value);
    }
    if (state_ == State::metadata) {
      if (header_.metadata.count(key)) bad("metadata stands twice", key);
      metadata_key_ = key;
      return next(State::metadata_value);
    }
    if (key == "dtype") return field(1, State::dtype);
    if (key == "shape") return field(2, State::shape_value);
    if (key == "data_offsets") return field(4, State::offsets_value);
    bad("a tensor has an unknown field", key);
  }
  void end_object() override {
    if (state_ == State::root) return next(State::done);
    if (state_ == State::tensor && fields_ != 7) bad("dtype, shape or data_offsets is missing", key_);
    if (state_ == State::tensor && offsets_ != 2) bad("data_offsets are not two numbers", key_);
    next(State::root);
  }
  void text(const std::string& value) override {
    if (state_ == State::metadata_value) {
      header_.metadata[metadata_key_] = value;
      return next(State::metadata);
    }
    if (state_ != State::dtype) bad("a text stands where it should not", value);
    header_.tensors.back().dtype = value;
    next(State::tensor);
  }
  void start_array() override {
    if (state_ == State::shape_value) return next(State::shape);
    if (state_ != State::offsets_value) bad("a list stands where it should not");
    offsets_ = 0;
    next(State::offsets);
  }
  void end_array() override { next(State::tensor); }
  void number(uint64_t value) override {
    Entry* entry = header_.tensors.empty() ? nullptr : &header_.tensors.back();
    if (state_ == State::shape) {
      if (entry->shape.rank() == max_rank) bad("a tensor has more than 8 dimensions", key_);
      if (value > uint64_t{1} << 62) bad("an extent is beyond 2^62", key_);
      return entry->shape.push_back(static_cast<int64_t>(value));
    }
    if (state_ != State::offsets || offsets_ == 2) bad("a number stands where it should not");
    (offsets_++ ? entry->end : entry->begin) = value;
  }
  void other() override { bad("a value is neither text nor a whole number >= 0"); }

 private:
  enum class State : uint8_t {
    before,
    root,
    value,
    metadata,
    metadata_value,
    tensor,
    dtype,
    shape_value,
    shape,
    offsets_value,
    offsets,
    done
  };

  void next(State state) { state_ = state; }
  void field(int bit, State state) {
    if (fields_ & bit) bad("a field stands twice", key_);
    fields_ |= bit;
    state_ = state;
  }
  [[noreturn]] void bad(const char* what, const std::string& where = {}) const {
    const std::string shown = where.size() > 100 ? where.substr(0, 100) + "…" : where;
    fail<CheckpointError>(name_, ": the header is not that of a safetensors file: ", what, where.empty() ? "" : ": '",
                          shown, where.empty() ? "" : "'");
  }

  Header& header_;
  std::string_view name_;
  State state_ = State::before;
  std::string key_, metadata_key_;
  std::set<std::string> names_;
  int fields_ = 0, offsets_ = 0;
};

// Bytes of a tensor by its shape; false on overflow or bits that do not fill bytes.
bool bytes_of(const Entry& entry, int bits, uint64_t& bytes) {
  uint64_t count = static_cast<uint64_t>(bits);
  for (const int64_t extent : entry.shape)
    if (__builtin_mul_overflow(count, static_cast<uint64_t>(extent), &count)) return false;
  bytes = count / 8;
  return count % 8 == 0;
}

void check_data(const Header& header, uint64_t data_bytes, std::string_view name) {
  uint64_t end = 0;
  for (const Entry& entry : header.tensors) {
    WEFT_CHECK(CheckpointError, entry.begin <= entry.end && entry.end <= data_bytes, name, ": tensor '", entry.name,
               "' lies at bytes ", entry.begin, " to ", entry.end, " of ", data_bytes);
    WEFT_CHECK(CheckpointError, entry.begin == end, name, ": tensor '", entry.name, "' begins at byte ", entry.begin,
               entry.begin > end ? ", leaving a hole after byte " : ", overlapping the data up to byte ", end);
    end = entry.end;
    const Format* format = format_of(entry.dtype);
    if (!format) continue;
    uint64_t bytes = 0;
    WEFT_CHECK(CheckpointError, bytes_of(entry, format->bits, bytes) && bytes == entry.end - entry.begin, name,
               ": tensor '", entry.name, "' of ", entry.dtype, entry.shape, " has ", entry.end - entry.begin,
               " bytes of data");
  }
  WEFT_CHECK(CheckpointError, end == data_bytes, name, ": the tensors end at byte ", end, " of ", data_bytes,
             " bytes of data; the file is cut off or has something behind it");
}

}  // namespace

Header parse_header(std::span<const std::byte> file, std::string_view name) {
  WEFT_CHECK(CheckpointError, file.size() >= 8, name, ": ", file.size(), " bytes are no safetensors file");
  uint64_t length;
  std::memcpy(&length, file.data(), 8);
  WEFT_CHECK(CheckpointError, length <= max_header_bytes && length <= file.size() - 8, name, ": a header of ", length,
             " bytes in a file of ", file.size(), "; this is no safetensors file, or it is cut off");
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + 8, length);
  WEFT_CHECK(CheckpointError, text.starts_with('{'), name, ": the header does not begin with '{'");
  Header header;
  header.data_start = 8 + length;
  Reader reader(header, name);
  std::string error;
  const bool parsed = detail::parse_json(text, reader, error);
  WEFT_CHECK(CheckpointError, parsed && reader.done(), name, ": ", error);
  std::sort(header.tensors.begin(), header.tensors.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_data(header, file.size() - header.data_start, name);
  return header;
}

DType dtype_of(const std::string& name) {
  const Format* format = format_of(name);
  if (format && format->known) return format->dtype;
  fail<DtypeError>("load: weft has no elements of type ", name,
                   "; convert the tensor to F32, F16, BF16, F64, I64, I32, "
                   "U8 or BOOL");
}

std::string name_of(DType dtype) {
  for (const Format& format : formats)
    if (format.known && format.dtype == dtype) return format.name;
  fail<DtypeError>("save: ", dtype, " has no name in the format");
}

}  // namespace weft::nn::safetensors
