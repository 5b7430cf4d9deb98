#include "weft/parallel/ranks.h"

#include <algorithm>
#include <bit>

#include "weft/tensor/error.h"

namespace weft::parallel {

std::vector<Device> ranks_of(const std::vector<Device>& devices, const DataParallelOptions& options) {
  const auto n = static_cast<int>(devices.size());
  WEFT_CHECK(DeviceError, n > 0, "parallel: the list of devices is empty");
  for (size_t i = 0; i < devices.size(); ++i) {
    check_exists(devices[i]);
    const bool repeated = std::find(devices.begin(), devices.begin() + static_cast<std::ptrdiff_t>(i), devices[i]) !=
                          devices.begin() + static_cast<std::ptrdiff_t>(i);
    WEFT_CHECK(DeviceError, !repeated || options.allow_duplicates, "parallel: ", devices[i],
               " is listed twice; list each device once or set allow_duplicates");
  }
  if (options.shares == 0) return devices;
  WEFT_CHECK(
      DeviceError,
      options.shares > 0 && std::has_single_bit(static_cast<unsigned>(options.shares)) && options.shares % n == 0,
      "parallel: ", options.shares, " shares for ", n, n == 1 ? " device" : " devices",
      "; shares must be a power of two and a multiple of the number of devices");
  std::vector<Device> ranks;
  for (const Device device : devices) ranks.insert(ranks.end(), static_cast<size_t>(options.shares / n), device);
  return ranks;
}

}  // namespace weft::parallel
