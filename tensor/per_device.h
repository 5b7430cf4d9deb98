// PerDevice<T>: one T for each of a list of devices; the same type for 0, 1 and n devices.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "weft/tensor/device.h"
#include "weft/tensor/error.h"

namespace weft {

template <class T>
class PerDevice {
 public:
  PerDevice() = default;
  /// Values in the order of `devices`; throws DeviceError unless there is one each.
  PerDevice(std::vector<Device> devices, std::vector<T> values)
      : devices_(std::move(devices)), values_(std::move(values)) {
    WEFT_CHECK(DeviceError, devices_.size() == values_.size(), "PerDevice: ", values_.size(), " values for ",
               devices_.size(), " devices");
  }

  int size() const { return static_cast<int>(values_.size()); }
  bool empty() const { return values_.empty(); }
  const std::vector<Device>& devices() const { return devices_; }
  Device device(int i) const { return devices_.at(static_cast<size_t>(i)); }
  T& operator[](int i) { return values_.at(static_cast<size_t>(i)); }
  const T& operator[](int i) const { return values_.at(static_cast<size_t>(i)); }
  /// The value of a device, the first if it is listed more than once; throws DeviceError if it is not.
  T& on(Device device) { return const_cast<T&>(std::as_const(*this).on(device)); }
  const T& on(Device device) const {
    for (size_t i = 0; i < devices_.size(); ++i)
      if (devices_[i] == device) return values_[i];
    fail<DeviceError>("PerDevice: no value on ", device);
  }
  /// Opaque: what the layer that made this value needs to go on with it (parallel/ keeps its workers here).
  const std::shared_ptr<void>& origin() const { return origin_; }
  void set_origin(std::shared_ptr<void> origin) { origin_ = std::move(origin); }
  auto begin() { return values_.begin(); }
  auto end() { return values_.end(); }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

 private:
  std::vector<Device> devices_;
  std::vector<T> values_;
  std::shared_ptr<void> origin_;
};

}  // namespace weft
