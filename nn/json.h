// JSON as a sequence of events, without a tree: nothing recurses and memory does not grow beyond the text's. Private to
// nn/; json.cpp is the one file that knows the library behind it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::nn::detail {

/// Gets the events of one document in order. An implementation rejects what it does not want by throwing.
class JsonVisitor {
 public:
  virtual ~JsonVisitor() = default;
  virtual void start_object() = 0;
  virtual void key(const std::string& name) = 0;
  virtual void end_object() = 0;
  virtual void start_array() = 0;
  virtual void end_array() = 0;
  virtual void text(const std::string& value) = 0;
  /// A whole number >= 0 that fits.
  virtual void number(uint64_t value) = 0;
  /// Any other value: a negative, broken or larger number, true, false, null.
  virtual void other() = 0;
};

/// False, and what is wrong in `error`, where the text is not one JSON value in valid UTF-8.
bool parse_json(std::string_view text, JsonVisitor& visitor, std::string& error);
/// "text" in quotes, escaped. Throws Error where it is not valid UTF-8.
std::string quote_json(const std::string& text);

}  // namespace weft::nn::detail
