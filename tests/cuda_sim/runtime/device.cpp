#include "device.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>

#include "../engine/launch.h"
#include "../memory/allocations.h"
#include "../memory/pinned.h"
#include "../memory/pool.h"
#include "../memory/shadow.h"
#include "../reports.h"
#include "../streams/policy.h"
#include "../streams/stream.h"
#include "status.h"

namespace weft::sim {
namespace {

int count = 4;
std::atomic<uint64_t> resets{0};
bool peers_possible = true;
bool peers_enabled[max_devices][max_devices];
thread_local int current = 0;

bool exists(int device) { return device >= 0 && device < count; }

void fresh_tables() {
  for (auto& row : peers_enabled) {
    for (bool& enabled : row) enabled = false;
  }
  peers_possible = true;
  reset_pools();
}

cudaDeviceProp properties() {
  cudaDeviceProp prop;
  std::memset(&prop, 0, sizeof prop);
  std::strcpy(prop.name, "weft simulated device");
  prop.major = 9;
  prop.minor = 0;
  prop.warpSize = 32;
  prop.multiProcessorCount = limits.multiprocessors;
  prop.maxThreadsPerBlock = limits.threads_per_block;
  prop.maxThreadsPerMultiProcessor = 2048;
  prop.maxBlocksPerMultiProcessor = 32;
  for (int i = 0; i < 3; ++i) {
    prop.maxThreadsDim[i] = limits.block_dim[i];
    prop.maxGridSize[i] = limits.grid_dim[i];
  }
  prop.regsPerBlock = prop.regsPerMultiprocessor = 65536;
  prop.sharedMemPerBlock = limits.shared;
  prop.sharedMemPerBlockOptin = limits.shared_with_opt_in;
  prop.sharedMemPerMultiprocessor = 228 * 1024;
  prop.reservedSharedMemPerBlock = 1024;
  prop.totalConstMem = 65536;
  prop.l2CacheSize = 50 << 20;
  prop.memoryBusWidth = 5120;
  prop.concurrentKernels = prop.unifiedAddressing = prop.canMapHostMemory = prop.streamPrioritiesSupported = 1;
  prop.asyncEngineCount = 3;
  prop.memoryPoolsSupported = prop.hostRegisterSupported = 1;
  return prop;
}

// Only what a backend asks for; a new one is a line here.
const std::map<cudaDeviceAttr, int>& attributes() {
  static const cudaDeviceProp prop = properties();
  static const std::map<cudaDeviceAttr, int> values = {
      {cudaDevAttrMaxThreadsPerBlock, prop.maxThreadsPerBlock},
      {cudaDevAttrMaxThreadsPerMultiProcessor, prop.maxThreadsPerMultiProcessor},
      {cudaDevAttrMaxGridDimX, prop.maxGridSize[0]},
      {cudaDevAttrMaxGridDimY, prop.maxGridSize[1]},
      {cudaDevAttrMaxGridDimZ, prop.maxGridSize[2]},
      {cudaDevAttrMaxSharedMemoryPerBlock, static_cast<int>(prop.sharedMemPerBlock)},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin, static_cast<int>(prop.sharedMemPerBlockOptin)},
      {cudaDevAttrMaxSharedMemoryPerMultiprocessor, static_cast<int>(prop.sharedMemPerMultiprocessor)},
      {cudaDevAttrMultiProcessorCount, prop.multiProcessorCount},
      {cudaDevAttrWarpSize, prop.warpSize},
      {cudaDevAttrComputeCapabilityMajor, prop.major},
      {cudaDevAttrComputeCapabilityMinor, prop.minor},
      {cudaDevAttrL2CacheSize, prop.l2CacheSize},
      {cudaDevAttrMemoryPoolsSupported, prop.memoryPoolsSupported},
      {cudaDevAttrUnifiedAddressing, prop.unifiedAddressing},
  };
  return values;
}

}  // namespace

void start_devices() {
  if (const char* text = std::getenv("WEFT_SIM_DEVICES")) {
    count = std::max(0, std::min(std::atoi(text), max_devices));
  }
  fresh_tables();
}

int device_count() { return count; }
int current_device() { return current; }
void set_current_device(int device) { current = device; }
bool may_reach(int device, int owner) { return peers_possible && device != owner; }
bool peer_access_enabled(int device, int owner) { return device == owner || peers_enabled[device][owner]; }

uint64_t epoch() { return resets.load(); }

void reset() {
  Lock lock;
  ++resets;
  reset_region();
  reset_shadow();
  reset_allocations();
  reset_registered();
  reset_streams();
  reset_order();
  reset_launches();
  forget_lost_devices();
  clear_faults();
  clear_reports();
  restart_schedule();
  fresh_tables();
  current = 0;
}

void set_device_count(int devices) {
  Lock lock;
  count = std::max(0, std::min(devices, max_devices));
  reset();
}

void set_memory_limit(int device, size_t bytes) {
  Lock lock;
  set_area_limit(area_of_device(device), bytes);
}

void set_peer_access(bool possible) {
  Lock lock;
  peers_possible = possible;
}

}  // namespace weft::sim

using namespace weft::sim;

namespace {

cudaError_t tell_version(int* version, int value) {
  if (unloading()) return cudaErrorCudartUnloading;
  Lock lock;
  if (auto code = planned_fault(FaultKind::query, current_device())) return remember(*code);
  *version = value;
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaGetDeviceCount(int* devices) {
  return query_entry(FaultKind::query, current_device(), [&] {
    *devices = device_count();
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return query_entry(FaultKind::select, device, [&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    set_current_device(device);
    return sticky_error(device);  // it is the current one all the same
  });
}

cudaError_t cudaGetDevice(int* device) {
  return query_entry(FaultKind::select, current_device(), [&] {
    *device = current_device();
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* prop, int device) {
  return query_entry(FaultKind::setup, device, [&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    *prop = properties();
    prop->totalGlobalMem = memory_limit(area_of_device(device));
    prop->pciBusID = device + 1;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr name, int device) {
  return query_entry(FaultKind::setup, device, [&] {
    if (!exists(device)) return cudaErrorInvalidDevice;
    auto found = attributes().find(name);
    if (found == attributes().end()) {
      report("cudaDeviceGetAttribute: attribute " + std::to_string(name) + " is not simulated");
      return cudaErrorInvalidValue;
    }
    *value = found->second;
    return cudaSuccess;
  });
}

cudaError_t cudaDriverGetVersion(int* version) {
  return tell_version(version, device_count() == 0 ? 0 : CUDART_VERSION);  // works without a driver: so one finds out
}

cudaError_t cudaRuntimeGetVersion(int* version) { return tell_version(version, CUDART_VERSION); }

cudaError_t cudaDeviceCanAccessPeer(int* possible, int device, int peer) {
  return query_entry(FaultKind::setup, device, [&] {
    if (!exists(device) || !exists(peer)) return cudaErrorInvalidDevice;
    *possible = may_reach(device, peer);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return entry(FaultKind::setup, [&] {
    if (flags != 0) return cudaErrorInvalidValue;
    if (!exists(peer) || peer == current_device()) return cudaErrorInvalidDevice;
    if (!peers_possible) return cudaErrorPeerAccessUnsupported;
    bool& enabled = peers_enabled[current_device()][peer];
    if (enabled) return cudaErrorPeerAccessAlreadyEnabled;
    enabled = true;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceDisablePeerAccess(int peer) {
  return entry(FaultKind::setup, [&] {
    if (!exists(peer)) return cudaErrorInvalidDevice;
    bool& enabled = peers_enabled[current_device()][peer];
    if (!enabled) return cudaErrorPeerAccessNotEnabled;
    enabled = false;
    return cudaSuccess;
  });
}
