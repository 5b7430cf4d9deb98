// Errors: every failure of weft is a subclass of weft::Error whose text reads
// `<operation>: <what is wrong, with values>; <what to do>`.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace weft {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Shapes that do not fit the operation.
class ShapeError : public Error {
  using Error::Error;
};
/// Element types that do not fit the operation.
class DtypeError : public Error {
  using Error::Error;
};
/// A device that does not exist, is not available, or differs between operands.
class DeviceError : public Error {
  using Error::Error;
};
/// An index or axis out of range.
class IndexError : public Error {
  using Error::Error;
};
/// Memory of a device or the host is exhausted.
class OutOfMemory : public Error {
  using Error::Error;
};
/// Misuse of the tape: a released graph, a changed saved value, nothing tracked.
class AutogradError : public Error {
  using Error::Error;
};
/// A device that cannot be used again in this process.
class DeviceLost : public DeviceError {
  using DeviceError::DeviceError;
};
/// A file of weights or training state that is not whole, or does not fit.
class CheckpointError : public Error {
  using Error::Error;
};

namespace detail {

// append(): how a value is written into an error text. Types of weft provide to_string().
inline void append(std::string& text, std::string_view part) { text += part; }
inline void append(std::string& text, const char* part) { text += part; }
inline void append(std::string& text, const std::string& part) { text += part; }
inline void append(std::string& text, bool part) { text += part ? "true" : "false"; }
void append(std::string& text, double part);
template <class T>
void append(std::string& text, const T& part) {
  if constexpr (std::is_floating_point_v<T>) {
    append(text, static_cast<double>(part));
  } else if constexpr (std::is_integral_v<T>) {
    text += std::to_string(part);
  } else {
    text += to_string(part);
  }
}

template <class... Parts>
std::string concat(const Parts&... parts) {
  std::string text;
  (append(text, parts), ...);
  return text;
}

}  // namespace detail

/// Throws E with the parts written one after another.
template <class E = Error, class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const Parts&... parts) {
  throw E(detail::concat(parts...));
}

}  // namespace weft

/// WEFT_CHECK(ShapeError, a.rank() == 2, "matmul: …", a.shape()): throws the named error unless the condition holds.
/// For what users can cause; the text is built only on failure.
#define WEFT_CHECK(error, condition, ...)       \
  do {                                          \
    if (!(condition)) [[unlikely]]              \
      ::weft::fail<::weft::error>(__VA_ARGS__); \
  } while (false)
