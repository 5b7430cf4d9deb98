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

/// Turns every byte of a good file round, one at a time: reading it either works or throws FileError. Returns how often
/// it threw.
template <class Read>
int damage_every_byte(const Scratch& scratch, const std::string& name, std::vector<uint8_t> bytes, const Read& read) {
  int refused = 0;
  for (uint8_t& byte : bytes) {
    byte ^= 0xFF;
    const std::string path = scratch.file(name, bytes);
    refused += !error_of([&] { read(path); }).empty();
    byte ^= 0xFF;
  }
  return refused;
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace weft::test
