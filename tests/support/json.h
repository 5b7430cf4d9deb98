// A small strict reader of JSON, independent of the library that weft itself may be built without.
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <vector>

#include "weft/tensor/error.h"

namespace weft::test {

/// A value: text of a string or number, or members, or items.
struct Json {
  std::string text;
  std::map<std::string, Json> members;
  std::vector<Json> items;

  const Json& at(const std::string& name) const { return members.at(name); }
  double number() const { return std::stod(text); }
};

/// Throws Error where the text is not JSON, or has escapes other than \", \\ and \u00xx.
class JsonReader {
 public:
  explicit JsonReader(const std::string& text) : text_(text) {}
  Json whole() {
    Json value = read();
    need(at_ == text_.size(), "the end");
    return value;
  }

 private:
  void need(bool ok, const char* what) const {
    if (!ok) throw Error("no JSON at byte " + std::to_string(at_) + ", expected " + what);
  }
  void blanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool took(char c) {
    blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    blanks();
    return true;
  }
  std::string string() {
    need(at_ < text_.size() && text_[at_++] == '"', "a string");
    std::string value;
    for (;;) {
      need(at_ < text_.size() && static_cast<unsigned char>(text_[at_]) >= 0x20, "a character");
      const char c = text_[at_++];
      if (c == '"') break;
      if (c != '\\') {
        value += c;
      } else if (text_.at(at_) == 'u') {
        value += static_cast<char>(std::stoi(text_.substr(at_ + 1, 4), nullptr, 16));
        at_ += 5;
      } else {
        need(text_[at_] == '"' || text_[at_] == '\\', "an escape");
        value += text_[at_++];
      }
    }
    blanks();
    return value;
  }
  Json read() {
    Json value;
    if (took('{')) {
      if (took('}')) return value;
      do {
        const std::string name = string();
        need(took(':'), "a colon");
        need(value.members.emplace(name, read()).second, "a name of its own");
      } while (took(','));
      need(took('}'), "the end of an object");
    } else if (took('[')) {
      if (took(']')) return value;
      do value.items.push_back(read());
      while (took(','));
      need(took(']'), "the end of a list");
    } else if (at_ < text_.size() && text_[at_] == '"') {
      value.text = string();
    } else {
      const size_t end = std::min(text_.find_first_of(",]} \n", at_), text_.size());
      value.text = text_.substr(at_, end - at_);
      size_t used = 0;
      if (value.text != "true" && value.text != "false") std::stod(value.text, &used);
      need(used == 0 || used == value.text.size(), "a number");
      at_ = end;
      blanks();
    }
    return value;
  }

  const std::string& text_;
  size_t at_ = 0;
};

}  // namespace weft::test
