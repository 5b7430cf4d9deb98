#include "weft/nn/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "weft/tensor/error.h"

namespace weft::nn {

namespace detail {

FileCalls& file_calls() noexcept {
  static FileCalls calls{
      [](const char* path, int flags, unsigned mode) { return ::open(path, flags, mode); },
      [](int file, const void* data, size_t bytes, int64_t offset) -> long {
        return ::pwrite(file, data, bytes, offset);
      },
      [](int file) { return ::fsync(file); },
      [](int file) { return ::close(file); },
      [](const char* from, const char* to) { return ::rename(from, to); },
      [](const char* path) { return ::unlink(path); },
  };
  return calls;
}

}  // namespace detail

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  static std::atomic<uint64_t> count{0};
  temporary_ = path_ + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(count++);
  file_ = detail::file_calls().open(temporary_.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  if (file_ < 0) {
    temporary_.clear();
    fail_now("cannot be created");
  }
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) detail::file_calls().close(file_);
  if (!temporary_.empty()) detail::file_calls().remove(temporary_.c_str());
}

void AtomicFile::fail_now(const char* what) {
  const int reason = errno;
  fail<CheckpointError>("save: '", path_, "' ", what, ": ", std::string(std::strerror(reason)),
                        "; what was there before is unchanged");
}

void AtomicFile::write(const void* data, size_t bytes) {
  write_at(written_, data, bytes);
  written_ += bytes;
}

void AtomicFile::write_at(uint64_t offset, const void* data, size_t bytes) {
  const char* p = static_cast<const char*>(data);
  while (bytes) {
    const long n = detail::file_calls().write_at(file_, p, bytes, static_cast<int64_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) fail_now("cannot be written");
    p += n;
    offset += static_cast<uint64_t>(n);
    bytes -= static_cast<size_t>(n);
  }
}

void AtomicFile::commit() {
  detail::FileCalls& calls = detail::file_calls();
  if (calls.flush(file_) != 0) fail_now("cannot be flushed to the disk");
  const int file = file_;
  file_ = -1;
  if (calls.close(file) != 0) fail_now("cannot be closed");
  if (calls.rename(temporary_.c_str(), path_.c_str()) != 0) fail_now("cannot be renamed into place");
  temporary_.clear();
  const size_t slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path_.substr(0, slash);
  const int handle = calls.open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (handle < 0) return;  // the file is whole under its name; only a power cut could still undo the renaming
  calls.flush(handle);
  calls.close(handle);
}

}  // namespace weft::nn
