// The CUDA backend's way in: registers it with the core. Everything else of it is behind weft::Backend.
#pragma once

namespace weft::cuda {

/// Called once, by load(), after the kernels are plugged in. Touches no device and needs no driver.
void register_backend();

}  // namespace weft::cuda
