// Operand: values in memory of a simulated device, for tests that call kernels by their arguments.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "tests/cuda_sim/sim.h"
#include "weft/cuda/context.h"
#include "weft/tensor/backend.h"
#include "weft/tensor/dtype.h"

namespace weft::test {

/// Small whole numbers: sums of their products are exact in every floating dtype of weft.
inline std::vector<double> whole_numbers(int64_t count, uint64_t seed, int largest = 2) {
  std::mt19937_64 random(seed);
  std::vector<double> values(static_cast<size_t>(count));
  for (double& value : values) value = static_cast<double>(random() % static_cast<uint64_t>(2 * largest + 1)) - largest;
  return values;
}

/// Runs what is queued; whether one of the reports, which are taken, holds `part`.
inline bool reported(const std::string& part) {
  sim::run_all();
  bool found = false;
  for (const std::string& report : sim::take_reports()) found = found || report.find(part) != std::string::npos;
  return found;
}

/// Devices as in a fresh process, after one was lost: nothing of before may be used again.
inline void fresh_devices() {
  sim::reset();
  cuda::forget_devices();
}

class Operand {
 public:
  /// `shift`: the values begin so many elements into the memory.
  Operand(const std::vector<double>& values, DType dtype, Stream stream, int64_t shift = 0)
      : Operand(std::ssize(values), dtype, stream, shift) {
    std::vector<unsigned char> host(bytes_);
    dispatch_floating(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* const to = reinterpret_cast<T*>(host.data()) + shift;
      for (size_t i = 0; i < values.size(); ++i) to[i] = T(static_cast<Compute<T>>(values[i]));
    });
    backend(DeviceType::cuda).copy(data_, stream.device, host.data(), Device(), bytes_, stream);
  }
  /// Uninitialised.
  Operand(int64_t count, DType dtype, Stream stream, int64_t shift = 0)
      : dtype_(dtype),
        stream_(stream),
        shift_(shift),
        bytes_(static_cast<size_t>((count + shift) * size_of(dtype))),
        data_(backend(DeviceType::cuda).allocate(bytes_, stream)) {}
  ~Operand() { backend(DeviceType::cuda).deallocate(data_, bytes_, stream_); }
  Operand(const Operand&) = delete;
  Operand& operator=(const Operand&) = delete;

  void* data() const { return static_cast<char*>(data_) + shift_ * size_of(dtype_); }

  /// Waits for the stream.
  std::vector<double> values() const {
    std::vector<unsigned char> host(bytes_ - static_cast<size_t>(shift_ * size_of(dtype_)));
    backend(DeviceType::cuda).copy(host.data(), Device(), data(), stream_.device, host.size(), stream_);
    backend(DeviceType::cuda).synchronize(stream_);
    std::vector<double> result;
    dispatch_floating(dtype_, [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* const from = reinterpret_cast<const T*>(host.data());
      for (size_t i = 0; i < host.size() / sizeof(T); ++i) result.push_back(static_cast<double>(from[i]));
    });
    return result;
  }

 private:
  DType dtype_;
  Stream stream_;
  int64_t shift_;
  size_t bytes_;
  void* data_;
};

}  // namespace weft::test
