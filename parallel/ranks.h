// Which ranks a list of devices stands for.
#pragma once

#include <vector>

#include "weft/tensor/device.h"
#include "weft/tensor/seconds.h"

namespace weft::parallel {

struct DataParallelOptions {
  bool sync = false;              ///< also wait for the devices after every call
  int shares = 0;                 ///< virtual ranks; 0: one per device. See Note [Shares]
  bool allow_duplicates = false;  ///< a device may be listed twice; each entry is a rank of its own
  int64_t batch_axis = 0;
  std::vector<double> weights = {};  ///< relative speeds of the devices; empty: equal
  Seconds deadline = 300;
};

// Note [Shares]
// With shares = s the batch is always cut into s parts, each a virtual rank with a worker, a gradient and random
// numbers of its own, working with one CPU thread; sums run over a binary tree of shares. So training gives the same
// bits on 1, 2, …, s devices of one kind. s is a power of two and a multiple of the number of devices. The price is s
// gradients in memory.

/// The device of every rank, in order of samples. Throws DeviceError on an empty list, unknown devices, duplicates
/// without allow_duplicates, or a number of shares that does not fit.
std::vector<Device> ranks_of(const std::vector<Device>& devices, const DataParallelOptions& options);

}  // namespace weft::parallel
