// Scheduling the threads of a block: warp after warp, each until all its lanes wait for others or have exited.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "../reports.h"
#include "../streams/policy.h"
#include "kernel.h"
#include "warp.h"

namespace weft::sim {

RunningKernel kernel;
thread_local bool in_kernel = false;

namespace {

unsigned warp_count() { return (kernel.thread_count + lanes_per_warp - 1) / lanes_per_warp; }

void thread_main() {
  kernel.call->run(kernel.call->arguments.get());
  kernel.thread->state = ThreadState::exited;
  suspend(kernel.thread->fiber);
  abandon_thread();
}

void prepare_threads() {
  const dim3 extent = kernel.call->block;
  kernel.thread_count = extent.x * extent.y * extent.z;
  if (kernel.threads.size() < kernel.thread_count) kernel.threads.resize(kernel.thread_count);
  for (unsigned i = 0; i < kernel.thread_count; ++i) {
    Thread& thread = kernel.threads[i];
    thread.state = ThreadState::fresh;
    thread.index = {i % extent.x, i / extent.x % extent.y, i / (extent.x * extent.y)};
    thread.clock = 0;
  }
  kernel.barrier_clock = 0;
  kernel.budget = uint64_t{1} << 24;
}

void run_thread(unsigned number) {
  Thread& thread = kernel.threads[number];
  if (thread.state != ThreadState::fresh && thread.state != ThreadState::ready) return;
  if (thread.state == ThreadState::fresh) start(thread.fiber, thread_main);
  thread.state = ThreadState::ready;
  kernel.thread = &thread;
  kernel.number = number;
  resume(thread.fiber);
  if (thread.state == ThreadState::exited) recycle(thread.fiber);
}

// The order in which warps, or the lanes of each, get their turns.
std::vector<unsigned> turn_order(unsigned count) {
  std::vector<unsigned> order(count);
  std::iota(order.begin(), order.end(), 0);
  if (kernel.turns == Order::descending) std::reverse(order.begin(), order.end());
  if (kernel.turns == Order::shuffled) std::shuffle(order.begin(), order.end(), schedule_random());
  return order;
}

void run_warp(unsigned warp, const std::vector<unsigned>& lanes) {
  const unsigned first = warp * lanes_per_warp;
  do {
    for (unsigned lane : lanes) {
      if (first + lane < kernel.thread_count) run_thread(first + lane);
      if (kernel.stopped != cudaSuccess) return;
    }
  } while (release_warp(first));
}

std::string waits(unsigned number) {
  const Thread& thread = kernel.threads[number];
  return thread_name(number) + " waits at " +
         (thread.state == ThreadState::at_barrier ? "the barrier " : "the warp operation ") + to_string(thread.site);
}

// All threads wait or have exited, and no warp can go on. Lets them over the barrier if they are all at the same one;
// false if there is nobody left, or the block is stuck.
bool release_barrier() {
  Thread* first = nullptr;
  int arrived = 0, votes = 0;
  uint32_t clock = 0;
  for (unsigned i = 0; i < kernel.thread_count; ++i) {
    Thread& thread = kernel.threads[i];
    if (thread.state == ThreadState::exited) continue;
    if (thread.state == ThreadState::at_warp) {
      stop_kernel(cudaErrorLaunchFailure, explain_stuck_warp(i));
      return false;
    }
    if (first && !(thread.site == first->site)) {
      const unsigned other = static_cast<unsigned>(first - kernel.threads.data());
      stop_kernel(cudaErrorLaunchFailure,
                  "divergent barrier in " + kernel_name() + ": " + waits(other) + ", " + waits(i));
      return false;
    }
    if (!first) first = &thread;
    ++arrived;
    votes += thread.predicate != 0;
    clock = std::max(clock, thread.clock);
  }
  if (!first) return false;
  kernel.barrier_clock = clock + 1;
  for (unsigned i = 0; i < kernel.thread_count; ++i) {
    Thread& thread = kernel.threads[i];
    if (thread.state != ThreadState::at_barrier) continue;
    thread.state = ThreadState::ready;
    thread.clock = kernel.barrier_clock;
    thread.result = static_cast<uint64_t>(votes) << 32 | static_cast<uint32_t>(arrived);
  }
  return true;
}

}  // namespace

void run_block() {
  prepare_threads();
  begin_shared();
  const std::vector<unsigned> warps = turn_order(warp_count());
  const std::vector<unsigned> lanes = turn_order(lanes_per_warp);
  bool goes_on = true;
  while (goes_on) {
    for (unsigned warp : warps) {
      run_warp(warp, lanes);
      if (kernel.stopped != cudaSuccess) break;
    }
    goes_on = kernel.stopped == cudaSuccess && release_barrier();
  }
  recycle_all();
  end_shared();
}

int block_barrier(int predicate, int& arrived, Site site) {
  Thread& me = *kernel.thread;
  me.state = ThreadState::at_barrier;
  me.site = site;
  me.predicate = predicate;
  suspend(me.fiber);
  arrived = static_cast<int>(me.result & 0xffffffff);
  return static_cast<int>(me.result >> 32);
}

uint3 thread_index() { return kernel.thread->index; }
uint3 block_index() { return kernel.block; }
dim3 block_extent() { return kernel.call->block; }
dim3 grid_extent() { return kernel.call->grid; }
unsigned lane() { return kernel.number % lanes_per_warp; }

void stop_kernel(cudaError_t status, const std::string& text) {
  report(text);
  kernel.stopped = status;
}

void abandon_thread() {
  for (;;) suspend(kernel.thread->fiber);
}

std::string kernel_name() { return kernel.call->name ? kernel.call->name : function_name(kernel.call->function); }

std::string thread_name(unsigned number) {
  const auto text = [](const uint3& index) {
    return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
  };
  return "block " + text(kernel.block) + " thread " + text(kernel.threads[number].index);
}

std::string here() { return thread_name(kernel.number); }

std::string to_string(const Site& site) {
  const std::string file = site.file;
  return file.substr(file.find_last_of('/') + 1) + ":" + std::to_string(site.line);
}

bool operator==(const Site& a, const Site& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

}  // namespace weft::sim
