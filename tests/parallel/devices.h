// Lists of devices for the tests of parallel/: CPU devices (unless on_cuda_alone), and CUDA devices. Where there are
// fewer of these than a list names they come again: on one card {cuda:0, cuda:0, …}, each entry a rank of its own.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/hooks.h"
#include "weft/parallel/ranks.h"
#include "weft/tensor/device.h"

namespace weft::test {

/// Device i of a list.
inline Device device_of(DeviceType type, int i) {
  return {type, type == DeviceType::cuda ? i % std::max(1, device_count(type)) : i};
}
inline std::vector<Device> devices_of(DeviceType type, int n) {
  std::vector<Device> devices;
  for (int i = 0; i < n; ++i) devices.push_back(device_of(type, i));
  return devices;
}
/// Whether lists of n have no device twice.
inline bool distinct(DeviceType type, int n) { return type != DeviceType::cuda || device_count(type) >= n; }
/// The options for such lists, with allow_duplicates where one of four devices may have some twice.
inline parallel::DataParallelOptions wrapped(parallel::DataParallelOptions options = {}) {
  options.allow_duplicates |= device_count(DeviceType::cuda) > 0 && !distinct(DeviceType::cuda, 4);
  return options;
}

/// The kind that every case runs on: CUDA devices in the simulator's program and on_cuda_alone, else CPU devices.
inline DeviceType kind_here() { return simulated() || on_cuda_alone() ? DeviceType::cuda : DeviceType::cpu; }
inline Device device_here(int i) { return device_of(kind_here(), i); }
inline std::vector<Device> devices_here(int n) { return devices_of(kind_here(), n); }
/// For a case that means n different devices. False, and the skip is counted, where there are fewer.
inline bool distinct_or_skip(int n) { return kind_here() == DeviceType::cpu || several_or_skip(n); }
/// A text about cpu:0, cpu:1, … as it reads where the same happens on devices_here().
inline std::string said_here(std::string text) {
  for (size_t at = text.find("cpu:"); kind_here() != DeviceType::cpu && at != std::string::npos; at = text.find("cpu:"))
    text.replace(at, 5, to_string(device_here(text.at(at + 4) - '0')));
  return text;
}
inline std::vector<Device> cpus(int n) { return devices_of(DeviceType::cpu, n); }

/// The kinds of devices that there are.
inline std::vector<DeviceType> kinds() {
  std::vector<DeviceType> types;
  if (!on_cuda_alone()) types.push_back(DeviceType::cpu);
  if (cuda_or_skip()) types.push_back(DeviceType::cuda);
  return types;
}
/// For cases that mean n different devices: the kinds of which there are as many. Others are counted as skipped.
inline std::vector<DeviceType> kinds(int n) {
  std::vector<DeviceType> types = kinds();
  if (!types.empty() && types.back() == DeviceType::cuda && !several_or_skip(n)) types.pop_back();
  return types;
}

/// `slow` where devices are simulated, which takes some hundred times longer.
template <class T>
T natively_or(DeviceType type, T native, T slow) {
  return type == DeviceType::cuda && simulated() ? slow : native;
}

}  // namespace weft::test
