#include "weft/tensor/error.h"

#include <charconv>

namespace weft::detail {

void append(std::string& text, double part) {
  // Locale-free: a decimal comma must not get into an error text.
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, part, std::chars_format::general, 6);
  text.append(buffer, end.ptr);
}

}  // namespace weft::detail
