// Lists of devices for the tests of parallel/: CPU devices (unless on_cuda_alone), and CUDA devices where there are as
// many.
#pragma once

#include <string>
#include <vector>

#include "tests/support/hooks.h"
#include "weft/tensor/device.h"

namespace weft::test {

inline std::vector<Device> devices_of(DeviceType type, int n) {
  std::vector<Device> devices;
  for (int i = 0; i < n; ++i) devices.push_back({type, i});
  return devices;
}
/// The kind that every case runs on: simulated CUDA devices in the simulator's program, else CPU devices.
inline DeviceType kind_here() { return simulated() ? DeviceType::cuda : DeviceType::cpu; }
inline Device device_here(int i) { return {kind_here(), i}; }
inline std::vector<Device> devices_here(int n) { return devices_of(kind_here(), n); }
/// A text about cpu:0, cpu:1, … as it reads where the same happens on devices_here().
inline std::string said_here(std::string text) {
  for (size_t at = text.find("cpu:"); simulated() && at != std::string::npos; at = text.find("cpu:", at))
    text.replace(at, 4, "cuda:");
  return text;
}
inline std::vector<Device> cpus(int n) { return devices_of(DeviceType::cpu, n); }

/// The kinds of devices of which there are at least n.
inline std::vector<DeviceType> kinds(int n) {
  std::vector<DeviceType> types;
  if (!on_cuda_alone()) types.push_back(DeviceType::cpu);
  if (cuda_or_skip() && device_count(DeviceType::cuda) >= n) types.push_back(DeviceType::cuda);
  return types;
}

/// `slow` where devices are simulated, which takes some hundred times longer.
template <class T>
T natively_or(DeviceType type, T native, T slow) {
  return type == DeviceType::cuda && simulated() ? slow : native;
}

}  // namespace weft::test
