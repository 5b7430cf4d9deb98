// What the tests of the simulator share.
#pragma once

#include <cuda_runtime_api.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace weft::sim {

inline constexpr const char* policies[] = {"fifo", "newest", "random", "starve:1", "pct:3"};

/// WEFT_SIM_SEED moves the seeds that tests use.
inline uint64_t first_seed() {
  const char* text = std::getenv("WEFT_SIM_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 1;
}

/// Whether any of the texts has the part.
inline bool contains(const std::vector<std::string>& texts, const std::string& part) {
  for (const std::string& text : texts) {
    if (text.find(part) != std::string::npos) return true;
  }
  return false;
}

/// For messages.
inline std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += "\n  " + text;
  return all;
}

inline cudaStream_t make_stream() {
  cudaStream_t stream = nullptr;
  (void)cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  return stream;
}

inline float* make_floats(int n) {
  void* data = nullptr;
  (void)cudaMalloc(&data, n * sizeof(float));
  return static_cast<float*>(data);
}

/// x[0, n) after everything on the stream.
inline std::vector<float> fetch(const float* x, int n, cudaStream_t stream) {
  std::vector<float> values(n, -1);
  (void)cudaMemcpyAsync(values.data(), x, n * sizeof(float), cudaMemcpyDeviceToHost, stream);
  return values;
}

/// Runs `body` in a child; what it wrote to stderr, and how it ended.
template <class Body>
std::string stderr_of(Body body, int& status) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    body();
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char part[256];
  for (ssize_t got = read(ends[0], part, sizeof part); got > 0; got = read(ends[0], part, sizeof part)) {
    text.append(part, static_cast<size_t>(got));
  }
  close(ends[0]);
  waitpid(child, &status, 0);
  return text;
}

}  // namespace weft::sim
