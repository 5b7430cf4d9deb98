// A folder for the files of one test case, gone at its end.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "weft/nn/data/file.h"

namespace weft::test {

class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "weft_test_XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~Scratch() { std::filesystem::remove_all(folder_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  /// Writes a file and gives its path.
  std::string file(const std::string& name, const std::vector<uint8_t>& bytes) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    data::write_file(path(name), bytes);
    return path(name);
  }

 private:
  std::filesystem::path folder_;
};

/// What f throws, as text; empty if it throws nothing.
template <class E = data::FileError, class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const E& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace weft::test
