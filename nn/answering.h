// When a device is lost, what the other devices hold can still be saved.
#pragma once

#include <vector>

#include "weft/tensor/device.h"

namespace weft::nn {

/// Index of the first of the devices that is not lost; of the last if all are. Waits for the devices it asks.
size_t first_answering(const std::vector<Device>& devices);

}  // namespace weft::nn
