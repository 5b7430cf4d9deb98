// The CUDA simulator as tests and the fake libraries see it: several devices in one process without a GPU, lazy streams
// under an adversarial schedule, checked memory, injected faults. Every function may be called from any thread.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace weft::sim {

// ---------------------------------------------------------------------------------------------------------------------
// Reports: every misuse found, each said once. A test ends with an empty list or with what it expects.

void report(std::string text);
/// The reports so far, in order.
std::vector<std::string> reports();
/// The reports so far; the list is empty afterwards.
std::vector<std::string> take_reports();

// ---------------------------------------------------------------------------------------------------------------------
// The schedule

/// Threads of a block, or blocks of a grid.
enum class Order { ascending, descending, shuffled };

struct Schedule {
  /// Which stream runs next when the host waits:
  /// "fifo"      the operation that was issued first, as an idle device would
  /// "newest"    the ready operation that was issued last
  /// "random"    any
  /// "starve:k"  stream number k (counted from 0, modulo their number) only if no other can run
  /// "pct:d"     random priorities of streams, changed at d - 1 random points (probabilistic concurrency testing)
  std::string policy = "fifo";
  uint64_t seed = 1;
  Order threads = Order::ascending;
  Order blocks = Order::ascending;
};

/// Throws std::invalid_argument for an unknown policy. The first schedule comes from WEFT_SIM_POLICY, WEFT_SIM_SEED
/// and WEFT_SIM_ORDER (ascending, descending, shuffled: threads and blocks).
void set_schedule(const Schedule& schedule);
Schedule schedule();

/// Runs everything queued on every device, in the order of the policy: the hardware catches up, no host has waited.
void run_all();
/// Operations queued and not yet run.
size_t pending();
/// Kernels that have run in this process.
int64_t kernels_run();
/// How often kernels have asked for 16 bytes (or a multiple) by one load or store of theirs.
int64_t wide_accesses();
/// How long a wait that nothing queued can end waits for other threads before it is reported as a deadlock; 5 s at
/// first.
void set_deadlock_seconds(double seconds);

// ---------------------------------------------------------------------------------------------------------------------
// Devices

inline constexpr int max_devices = 8;

/// 4 unless WEFT_SIM_DEVICES or set_device_count() says otherwise.
int device_count();
/// 0 behaves like a machine without a driver. Resets.
void set_device_count(int count);
/// Bytes that cudaMalloc and the pools of a device may hold together; 256 MiB at first.
void set_memory_limit(int device, size_t bytes);
/// Whether cudaDeviceCanAccessPeer answers 1 (the default).
void set_peer_access(bool possible);

/// Counts calls of reset().
uint64_t epoch();
/// Chooses the order of ranks in which the fake NCCL sums, whatever the schedule; WEFT_SIM_REDUCTION_SEED, else 1, at
/// first. The order is the same for all ranks and turns from part to part of the data, as in a ring.
void set_reduction_seed(uint64_t seed);

/// A process that starts afresh: no allocation, stream, event, fault, sticky error or report. Handles of before are
/// dead.
void reset();
/// Allocations that are not yet freed, in all devices and pinned memory: for tests that look for leaks.
size_t live_allocations();
/// The same for streams, events and pools.
size_t live_handles();

// ---------------------------------------------------------------------------------------------------------------------
// Faults: one plan, consulted by every entry point but those that tell of errors and of the libraries' versions

enum class FaultKind {
  malloc,
  host_alloc,
  launch,
  copy,
  event,         ///< made, recorded, waited for by a stream
  setup,         ///< streams, pools, access of peers, and what a device is asked before: attributes, properties
  select,        ///< cudaSetDevice (of the device that is chosen) and cudaGetDevice
  query,         ///< what may change: events, streams, memory, pools, pointers; counts and versions
  wait,          ///< of the host
  release,       ///< what gives something back, in the libraries too; only codes that lose the device
  cublas,        ///< handles and products
  cublas_setup,  ///< of a handle: stream, workspace, mode
  cudnn,         ///< handles, plans and their execution
  cudnn_setup,   ///< the stream of a handle, descriptors and their attributes
  nccl,          ///< calls of NCCL for one rank, and both ends of groups
  device_lost,
  nccl_async,      ///< what ncclCommGetAsyncError finds
  nccl_lost_peer,  ///< a rank's part of a collective, or of setting a communicator up, never comes (any code but 0)
  nccl_slow_peer,  ///< a rank's part of a collective comes `code` milliseconds late
  nccl_abort,      ///< an abort or a revocation hangs until reset() (any code but 0)
};
inline constexpr int any_device = -1;

struct Fault {
  FaultKind kind = FaultKind::malloc;
  int device = any_device;
  int64_t nth = 0;         ///< fires on the nth consultation from now that matches (from 0) …
  int64_t count = 1;       ///< … and on those behind it, so many in all, …
  double probability = 0;  ///< … or, if above 0, on each with this probability, drawn from the schedule's seed
  int code = 0;            ///< the status to return: a cudaError_t, cublasStatus_t, cudnnStatus_t, ncclResult_t
};

/// Throws std::invalid_argument for a code that the kind cannot have.
void inject(const Fault& fault);
/// Forgets the plan and the counters.
void clear_faults();
/// How often an entry point of this kind asked, of any device or of one, and how often a fault fired, since
/// clear_faults().
int64_t consulted(FaultKind kind, int device = any_device);
int64_t fired(FaultKind kind);
/// "launch", "device lost"
const char* name_of(FaultKind kind);
/// For entry points: the code to return instead of doing the work, or 0. `device_lost` is consulted by the runtime
/// itself.
int consult_fault(FaultKind kind, int device);

// ---------------------------------------------------------------------------------------------------------------------
// For the fake libraries

enum class Access { read, write, read_write };

/// Queues an operation that runs when the schedule says so, with the memory of the stream's device open to it. Reports
/// and returns cudaErrorInvalidResourceHandle for the legacy default stream, a dead stream, or another current device
/// than the stream's; returns the device's sticky error if it has one.
cudaError_t enqueue(cudaStream_t stream, std::string name, std::function<void()> run);
/// The same, but the operation (and so its stream) waits until `ready()` holds: for collectives, whose partners may
/// come from other threads. `ready` is asked again after every call into the simulator.
cudaError_t enqueue_when(cudaStream_t stream, std::string name, std::function<bool()> ready, std::function<void()> run);

/// Says that the running operation (outside of one: the host) touches these bytes. Device memory must be live, of the
/// operation's device (or of `device`), initialised if read, and ordered against every other operation that touched it;
/// pinned memory must be live. Reports otherwise, with `who` and the allocation's name; false if the bytes must not be
/// touched. Call it once per operand, reads before writes; written bytes count as initialised afterwards.
bool check_range(const void* pointer, size_t bytes, Access access, const char* who, int device = any_device);
/// The running operation takes so long by the clock of the devices, which events read; no host waits for it.
void take_time(double seconds);
/// check_range for `rows` pieces of `row_bytes`, `pitch` bytes apart.
bool check_rows(const void* pointer, size_t rows, size_t row_bytes, size_t pitch, Access access, const char* who,
                int device = any_device);

/// Opens a device's memory to host code while it lives. Inside an operation the stream's own device is open already.
class DeviceAccess {
 public:
  explicit DeviceAccess(int device);
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;

 private:
  int device_;
  bool opened_;
};

/// The device of a live stream, or -1 (and a report naming `who`) for a dead one and the legacy default stream.
int stream_device(cudaStream_t stream, const char* who);
/// The device whose arena holds the address (dead or alive), or -1: host memory.
int pointer_device(const void* pointer);
/// This thread's current device.
int current_device();
/// "cuda:1 allocation #12 (256 bytes, made by relu), +0x40", "pinned allocation #3 (…), +0x0" or "host memory at 0x…".
/// The maker is the operation that first wrote to it.
std::string describe(const void* pointer);

}  // namespace weft::sim
