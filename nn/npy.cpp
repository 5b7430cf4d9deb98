#include "weft/nn/npy.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

#include "weft/autograd/record_scope.h"
#include "weft/nn/atomic_file.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/view.h"

namespace weft::nn {

namespace {

constexpr std::string_view magic("\x93NUMPY", 6);
constexpr size_t max_header = 1 << 16;

// A kind of element: `code` without its byte order.
struct Element {
  const char* code;
  int64_t size;
  DType dtype;                                          // what it becomes
  void (*widen)(const std::byte* from, std::byte* to);  // null: as it is
};
template <class From, class To>
void widen(const std::byte* from, std::byte* to) {
  From x;
  std::memcpy(&x, from, sizeof x);
  const To y = x;
  std::memcpy(to, &y, sizeof y);
}
// One signed byte, by its bits.
void widen_byte(const std::byte* from, std::byte* to) {
  const int bits = std::to_integer<int>(*from);
  const int32_t y = bits < 128 ? bits : bits - 256;
  std::memcpy(to, &y, sizeof y);
}
constexpr Element elements[] = {
    {"f4", 4, DType::f32, nullptr},
    {"f8", 8, DType::f64, nullptr},
    {"f2", 2, DType::f16, nullptr},
    {"i8", 8, DType::i64, nullptr},
    {"i4", 4, DType::i32, nullptr},
    {"u1", 1, DType::u8, nullptr},
    {"b1", 1, DType::boolean, nullptr},
    {"i1", 1, DType::i32, widen_byte},
    {"i2", 2, DType::i32, widen<int16_t, int32_t>},
    {"u2", 2, DType::i32, widen<uint16_t, int32_t>},
    {"u4", 4, DType::i64, widen<uint32_t, int64_t>},
};

struct NpyHeader {
  const Element* element = nullptr;
  bool swapped = false, fortran = false;
  Shape shape;
};

// Reads the one form that NumPy writes: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, keys in any order.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, std::string_view name) : text_(text), name_(name) {}

  NpyHeader read() {
    NpyHeader header;
    expect('{');
    int seen = 0;
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      const int bit = key == "descr" ? 1 : key == "fortran_order" ? 2 : key == "shape" ? 4 : 0;
      if (!bit || seen & bit) bad();
      seen |= bit;
      if (bit == 1) read_type(header);
      if (bit == 2) header.fortran = boolean();
      if (bit == 4) header.shape = shape();
      if (!accept(',') && peek() != '}') bad();
    }
    if (seen != 7 || peek()) bad();
    return header;
  }

 private:
  // The next character that is no space; 0 at the end.
  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) bad();
  }
  std::string_view quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') bad();
    const size_t begin = at_ + 1, end = text_.find(quote, begin);
    if (end == std::string_view::npos) bad();
    at_ = end + 1;
    return text_.substr(begin, end - begin);
  }
  bool boolean() {
    peek();
    for (const std::string_view word : {"True", "False"})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return word == "True";
      }
    bad();
  }
  Shape shape() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      int64_t extent = -1;
      peek();
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc{} || extent < 0) bad();
      WEFT_CHECK(CheckpointError, shape.rank() < max_rank, name_, ": an array of more than ", max_rank, " dimensions");
      at_ = static_cast<size_t>(end - text_.data());
      shape.push_back(extent);
      if (!accept(',') && peek() != ')') bad();
    }
    return shape;
  }
  void read_type(NpyHeader& header) {
    WEFT_CHECK(DtypeError, peek() != '[', name_, ": an array of records; save its columns one by one");
    const std::string_view type = quoted();
    WEFT_CHECK(DtypeError, type.find('O') == std::string_view::npos, name_,
               ": an object array, which only Python could read by running code; convert it with .astype(float)");
    for (const Element& element : elements)
      if (type.size() == 3 && type.substr(1) == element.code) header.element = &element;
    WEFT_CHECK(DtypeError, header.element && std::string_view("<>|=").find(type[0]) != std::string_view::npos, name_,
               ": weft has no elements of type '", std::string(type.substr(0, 20)), "'");
    header.swapped = type[0] == '>';
  }
  [[noreturn]] void bad() const {
    fail<CheckpointError>(name_, ": the header is not NumPy's at byte ", at_, ": ", std::string(text_.substr(0, 200)));
  }

  std::string_view text_, name_;
  size_t at_ = 0;
};

// Elements one by one, where they cannot be copied as they are.
void convert(const NpyHeader& header, const std::byte* from, std::byte* to, int64_t count) {
  const Element& element = *header.element;
  const auto size = static_cast<size_t>(element.size), wide = static_cast<size_t>(size_of(element.dtype));
  std::byte one[8];
  for (int64_t i = 0; i < count; ++i, from += size, to += wide) {
    std::memcpy(one, from, size);
    if (header.swapped) std::reverse(one, one + size);
    if (element.widen)
      element.widen(one, to);
    else
      std::memcpy(to, one, size);
    if (element.dtype == DType::boolean) *to = std::byte{one[0] != std::byte{0}};
  }
}

}  // namespace

Tensor parse_npy(std::span<const std::byte> file, std::string_view name) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  WEFT_CHECK(CheckpointError, text.size() >= 10 && text.starts_with(magic), name, ": this is no .npy file");
  const int version = static_cast<unsigned char>(text[6]);
  WEFT_CHECK(CheckpointError, version >= 1 && version <= 3, name, ": version ", version, " of the format is unknown");
  const size_t width = version == 1 ? 2 : 4, start = 8 + width;
  uint32_t length = 0;
  WEFT_CHECK(CheckpointError, text.size() >= start, name, ": the file is cut off");
  std::memcpy(&length, text.data() + 8, width);
  WEFT_CHECK(CheckpointError, length <= max_header && length <= text.size() - start, name, ": a header of ", length,
             " bytes in a file of ", text.size());
  const NpyHeader header = HeaderReader(text.substr(start, length), name).read();
  uint64_t bytes = static_cast<uint64_t>(header.element->size);
  bool fits = true;
  for (const int64_t extent : header.shape)
    fits = fits && !__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes);
  const size_t data = start + length;
  WEFT_CHECK(CheckpointError, fits && bytes == file.size() - data, name, ": an array of shape ", header.shape, " and ",
             header.element->size, " bytes an element, with ", file.size() - data, " bytes of data");
  Shape shape;
  for (int i = 0; i < header.shape.rank(); ++i)
    shape.push_back(header.shape[header.fortran ? header.shape.rank() - 1 - i : i]);
  Tensor x = empty(shape, {.dtype = header.element->dtype, .device = Device()});
  if (header.swapped || header.element->widen || x.dtype() == DType::boolean)
    convert(header, file.data() + data, static_cast<std::byte*>(x.raw()), x.numel());
  else if (bytes)
    std::memcpy(x.raw(), file.data() + data, bytes);
  if (!header.fortran || shape.rank() < 2) return x;
  Dims order;
  for (int i = shape.rank(); i-- > 0;) order.push_back(i);
  return ops::contiguous(ops::permute(x, order));
}

std::string to_npy(const Tensor& x) {
  const Element* element = nullptr;
  for (const Element& e : elements)
    if (!e.widen && e.dtype == x.dtype()) element = &e;
  WEFT_CHECK(DtypeError, element, "save_npy: NumPy has no ", x.dtype(), "; convert with .to(DType::f32)");
  std::string shape;
  for (const int64_t extent : x.shape()) shape += std::to_string(extent) + ", ";
  if (x.rank() > 0) shape.resize(shape.size() - (x.rank() > 1 ? 2 : 1));  // "(3,)", "(2, 3)"
  std::string header = weft::detail::concat("{'descr': '", element->size == 1 ? "|" : "<", element->code,
                                            "', 'fortran_order': False, 'shape': (", shape, "), }");
  header.resize((header.size() + 1 + 10 + 63) / 64 * 64 - 10 - 1, ' ');  // data begins at a multiple of 64
  header += '\n';
  std::string file(magic);
  const auto length = static_cast<uint16_t>(header.size());
  file += std::string_view("\x01\x00", 2);
  file.append(reinterpret_cast<const char*>(&length), 2);
  file += header;
  const autograd::NoGrad pause;
  const Tensor host = ops::contiguous(ops::to(x.detach(), Device()));
  return file.append(static_cast<const char*>(host.raw()), static_cast<size_t>(host.numel() * size_of(host.dtype())));
}

Tensor load_npy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  WEFT_CHECK(CheckpointError, file.good(), "load_npy: '", path, "' cannot be read");
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  return parse_npy(std::as_bytes(std::span(bytes)), "load_npy: '" + path + "'");
}

void save_npy(const std::string& path, const Tensor& x) {
  const std::string bytes = to_npy(x);
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

}  // namespace weft::nn
