#include "weft/nn/json.h"

#include <nlohmann/json.hpp>

#include "weft/tensor/error.h"

namespace weft::nn::detail {

namespace {

using Json = nlohmann::json;

struct Events final : nlohmann::json_sax<Json> {
  Events(JsonVisitor& v, std::string& e) : visitor(v), error(e) {}
  bool start_object(std::size_t) override { return visitor.start_object(), true; }
  bool key(string_t& name) override { return visitor.key(name), true; }
  bool end_object() override { return visitor.end_object(), true; }
  bool start_array(std::size_t) override { return visitor.start_array(), true; }
  bool end_array() override { return visitor.end_array(), true; }
  bool string(string_t& value) override { return visitor.text(value), true; }
  bool number_unsigned(number_unsigned_t value) override { return visitor.number(value), true; }
  bool number_integer(number_integer_t) override { return visitor.other(), true; }
  bool number_float(number_float_t, const string_t&) override { return visitor.other(), true; }
  bool boolean(bool) override { return visitor.other(), true; }
  bool null() override { return visitor.other(), true; }
  bool binary(binary_t&) override { return visitor.other(), true; }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    error = weft::detail::concat("JSON broken at byte ", position, " (", e.what(), ")");
    return false;
  }

  JsonVisitor& visitor;
  std::string& error;
};

}  // namespace

bool parse_json(std::string_view text, JsonVisitor& visitor, std::string& error) {
  Events events(visitor, error);
  return Json::sax_parse(text.begin(), text.end(), &events);
}

std::string quote_json(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    fail<Error>("save: a name or a text is not valid UTF-8: '", text, "'");
  }
}

}  // namespace weft::nn::detail
