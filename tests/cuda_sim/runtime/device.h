// The devices of the simulated machine.
#pragma once

namespace weft::sim {

/// Reads WEFT_SIM_DEVICES; called once, by the first Lock.
void start_devices();
void set_current_device(int device);
/// Whether the hardware lets `device` touch memory of another one, `owner`.
bool may_reach(int device, int owner);
/// Whether `device` may touch memory of `owner` (cudaDeviceEnablePeerAccess).
bool peer_access_enabled(int device, int owner);

/// The simulated H100, whose limits launches are checked against.
struct Limits {
  unsigned threads_per_block = 1024;
  unsigned block_dim[3] = {1024, 1024, 64};
  unsigned grid_dim[3] = {2147483647, 65535, 65535};
  unsigned shared = 48 * 1024;               // per block, static and dynamic together, …
  unsigned shared_with_opt_in = 227 * 1024;  // … and with cudaFuncAttributeMaxDynamicSharedMemorySize
  unsigned multiprocessors = 4;              // few, so that grids sized by them stay small
};
inline constexpr Limits limits;

}  // namespace weft::sim
