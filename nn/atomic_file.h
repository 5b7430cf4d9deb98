// AtomicFile: a file that appears under its name whole or not at all. It is written under a temporary name beside it;
// commit() flushes it to the disk, renames it, and flushes the folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace weft::nn {

class AtomicFile {
 public:
  /// Creates the temporary file "PATH.tmp.PROCESS.NUMBER". Throws CheckpointError, here and below, with the reason.
  explicit AtomicFile(std::string path);
  /// Without commit(): removes the temporary file; what was under the name stays.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  /// Replaces bytes that were written.
  void write_at(uint64_t offset, const void* data, size_t bytes);
  uint64_t written() const { return written_; }
  void commit();

 private:
  [[noreturn]] void fail_now(const char* what);
  std::string path_, temporary_;
  int file_ = -1;
  uint64_t written_ = 0;
};

namespace detail {
/// The system calls of AtomicFile, so that tests can let each of them fail.
struct FileCalls {
  int (*open)(const char* path, int flags, unsigned mode);
  long (*write_at)(int file, const void* data, size_t bytes, int64_t offset);
  int (*flush)(int file);
  int (*close)(int file);
  int (*rename)(const char* from, const char* to);
  int (*remove)(const char* path);
};
FileCalls& file_calls() noexcept;
}  // namespace detail

}  // namespace weft::nn
