// The kernel that runs now, and its threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../sim.h"
#include "fiber.h"
#include "weft_sim/kernel_side.h"

namespace weft::sim {

inline constexpr unsigned lanes_per_warp = 32;

enum class ThreadState : uint8_t { fresh, ready, at_barrier, at_warp, exited };

struct Thread {
  Fiber fiber;
  ThreadState state = ThreadState::fresh;
  uint3 index = {};
  uint32_t clock = 0;  // grows with every barrier and warp operation, for data races
  Site site;           // where it waits
  int predicate = 0;   // what it brings to a barrier …
  WarpOperation operation = WarpOperation::sync;
  unsigned mask = 0;  // … or to its warp …
  uint64_t value = 0;
  unsigned source = 0;
  uint64_t result = 0;  // … and what it takes away
};

struct RunningKernel {
  const KernelCall* call = nullptr;
  int device = 0;
  int area = 0;              // of the device's memory
  uint32_t first_stamp = 0;  // of this launch; every block gets one, in the order in which they run
  uint32_t stamp = 0;        // of this block
  uint3 block = {};
  std::vector<uint32_t> block_order;
  Order turns = Order::ascending;  // of the threads of a block
  std::vector<Thread> threads;     // of the block; the vector only grows
  unsigned thread_count = 0;
  Thread* thread = nullptr;    // the one that runs
  unsigned number = 0;         // of that thread in its block
  uint32_t barrier_clock = 0;  // clocks below this are before the block's last barrier
  uint64_t budget = 0;         // accesses left before a thread is taken for stuck
  cudaError_t stopped = cudaSuccess;
  int64_t wide_accesses = 0;  // of all kernels so far
};
extern RunningKernel kernel;
/// True while this thread of the operating system runs a kernel.
extern thread_local bool in_kernel;

/// Runs the threads of the current block to their end, or until the kernel is stopped.
void run_block();

/// Reports a fault that ends the kernel. In a thread, abandon_thread() follows: nothing after the fault happens.
void stop_kernel(cudaError_t status, const std::string& text);
[[noreturn]] void abandon_thread();

/// "relu_kernel", "block (1, 0, 0) thread (44, 0, 0)", "reduce.cuh:41"
std::string kernel_name();
std::string thread_name(unsigned number);
std::string here();
std::string to_string(const Site& site);
bool operator==(const Site& a, const Site& b);

// Shared memory of the current block.
void begin_shared();
void end_shared();

}  // namespace weft::sim
