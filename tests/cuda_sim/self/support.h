// What the tests of the simulator share.
#pragma once

#include <cuda_runtime_api.h>

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

}  // namespace weft::sim
