// What an error says, for tests of its text.
#pragma once

#include <string>

namespace weft::test {

/// The text of the E that f throws; other types pass.
template <class E, class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

inline bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace weft::test
