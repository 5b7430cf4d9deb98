#include "weft/nn/safetensors_index.h"

#include <fstream>
#include <iterator>

#include "weft/nn/json.h"

namespace weft::nn {

namespace {

// {"metadata": anything, "weight_map": {tensor: file}}
class IndexReader final : public detail::JsonVisitor {
 public:
  explicit IndexReader(std::string_view name) : name_(name) {}
  std::map<std::string, std::set<std::string>> files;
  bool found = false;

  void start_object() override {
    if (depth_ == 1 && key_ == "weight_map") {
      check(!found, "weight_map stands twice", "");
      found = inside_ = true;
    }
    ++depth_;
  }
  void end_object() override {
    if (--depth_ == 1) inside_ = false;
  }
  void start_array() override { nested("a list"), ++depth_; }
  void end_array() override { --depth_; }
  void key(const std::string& key) override {
    key_ = key;
    if (depth_ == 2 && inside_) check(tensors_.insert(key).second, "a tensor stands twice", key);
  }
  void text(const std::string& value) override {
    if (!inside_) return;
    check(depth_ == 2, "the weight_map is nested", key_);
    check(!value.empty() && value.find('/') == std::string::npos && value.find('\\') == std::string::npos &&
              value != "." && value != ".." && value.find('\0') == std::string::npos,
          "a file is not in the folder of the index", value);
    files[value].insert(key_);
  }
  void number(uint64_t) override { nested("a number"); }
  void other() override { nested("a value that is no text"); }

 private:
  void check(bool ok, const char* what, const std::string& where) const {
    WEFT_CHECK(CheckpointError, ok, name_, ": ", what, where.empty() ? "" : ": '" + where.substr(0, 100) + "'");
  }
  void nested(const char* what) const { WEFT_CHECK(CheckpointError, !inside_, name_, ": the weight_map holds ", what); }

  std::string_view name_;
  std::string key_;
  std::set<std::string> tensors_;
  int depth_ = 0;
  bool inside_ = false;
};

}  // namespace

namespace safetensors {

std::map<std::string, std::set<std::string>> parse_index(std::string_view json, std::string_view name) {
  IndexReader reader(name);
  std::string error;
  const bool parsed = detail::parse_json(json, reader, error);
  WEFT_CHECK(CheckpointError, parsed, name, ": ", error);
  WEFT_CHECK(CheckpointError, reader.found, name, ": there is no weight_map in it");
  return std::move(reader.files);
}

std::map<std::string, std::set<std::string>> read_index(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  WEFT_CHECK(CheckpointError, file.good(), "load: '", path, "' cannot be read");
  const std::string json{std::istreambuf_iterator<char>(file), {}};
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  std::map<std::string, std::set<std::string>> files;
  for (auto& [name, tensors] : parse_index(json, "load: '" + path + "'")) files[folder + name] = tensors;
  return files;
}

}  // namespace safetensors

}  // namespace weft::nn
