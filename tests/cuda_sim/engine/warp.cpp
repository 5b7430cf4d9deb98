#include "warp.h"

#include <algorithm>

#include "kernel.h"

namespace weft::sim {
namespace {

bool same_meeting(const Thread& a, const Thread& b) {
  return a.operation == b.operation && a.mask == b.mask && a.site == b.site;
}

// Lanes of the mask that exist and have not exited.
unsigned lanes_to_meet(unsigned first, unsigned mask) {
  unsigned lanes = 0;
  for (unsigned lane = 0; lane < lanes_per_warp && first + lane < kernel.thread_count; ++lane) {
    if ((mask >> lane & 1) && kernel.threads[first + lane].state != ThreadState::exited) lanes |= 1u << lane;
  }
  return lanes;
}

bool has_met(unsigned first, const Thread& waiting, unsigned lanes) {
  for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
    if ((lanes >> lane & 1) == 0) continue;
    const Thread& thread = kernel.threads[first + lane];
    if (thread.state != ThreadState::at_warp || !same_meeting(thread, waiting)) return false;
  }
  return true;
}

// What the lane takes away. False, and the kernel is stopped, if a shuffle reads a lane that does not take part.
bool conclude(unsigned first, unsigned lane, unsigned lanes) {
  Thread& me = kernel.threads[first + lane];
  me.result = 0;
  if (me.operation == WarpOperation::shuffle) {
    if ((lanes >> me.source & 1) == 0) {
      stop_kernel(cudaErrorLaunchFailure, "absent lane: in " + kernel_name() + ", " + thread_name(first + lane) +
                                              " reads lane " + std::to_string(me.source) + " at " + to_string(me.site) +
                                              ", which takes no part in the exchange");
      return false;
    }
    me.result = kernel.threads[first + me.source].value;
    return true;
  }
  for (unsigned other = 0; other < lanes_per_warp; ++other) {
    if ((lanes >> other & 1) == 0) continue;
    const uint64_t value = kernel.threads[first + other].value;
    const bool counts = me.operation == WarpOperation::match ? value == me.value : value != 0;
    if (counts) me.result |= uint64_t{1} << other;
  }
  return true;
}

bool release_group(unsigned first, unsigned lanes) {
  uint32_t clock = 0;
  for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
    if ((lanes >> lane & 1) == 0) continue;
    if (!conclude(first, lane, lanes)) return false;
    clock = std::max(clock, kernel.threads[first + lane].clock);
  }
  for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
    if ((lanes >> lane & 1) == 0) continue;
    kernel.threads[first + lane].state = ThreadState::ready;
    kernel.threads[first + lane].clock = clock + 1;
  }
  return true;
}

}  // namespace

bool release_warp(unsigned first) {
  bool released = false;
  for (unsigned lane = 0; lane < lanes_per_warp && first + lane < kernel.thread_count; ++lane) {
    const Thread& thread = kernel.threads[first + lane];
    if (thread.state != ThreadState::at_warp) continue;
    const unsigned lanes = lanes_to_meet(first, thread.mask);
    if (!has_met(first, thread, lanes)) continue;
    if (!release_group(first, lanes)) return false;
    released = true;
  }
  return released;
}

std::string explain_stuck_warp(unsigned number) {
  const Thread& waiting = kernel.threads[number];
  const unsigned first = number / lanes_per_warp * lanes_per_warp;
  const std::string text = "in " + kernel_name() + ", " + thread_name(number) + " waits at the warp operation " +
                           to_string(waiting.site) + " for lane ";
  for (unsigned lane = 0; lane < lanes_per_warp; ++lane) {
    if ((lanes_to_meet(first, waiting.mask) >> lane & 1) == 0) continue;
    const Thread& other = kernel.threads[first + lane];
    if (other.state == ThreadState::at_barrier) {
      return "divergent warp: " + text + std::to_string(lane) + ", which waits at the barrier " + to_string(other.site);
    }
    if (!(other.site == waiting.site)) {
      return "divergent warp: " + text + std::to_string(lane) + ", which waits at " + to_string(other.site);
    }
    if (!same_meeting(other, waiting))
      return "divergent warp: " + text + std::to_string(lane) + ", which came with another mask";
  }
  return "deadlock: " + text + "that does not come";
}

uint64_t meet_warp(WarpOperation operation, unsigned mask, uint64_t value, unsigned source, Site site) {
  Thread& me = *kernel.thread;
  if ((mask >> lane() & 1) == 0) {
    stop_kernel(cudaErrorLaunchFailure, "absent lane: in " + kernel_name() + ", " + here() +
                                            " calls the warp operation " + to_string(site) +
                                            " without its own lane in the mask");
    abandon_thread();
  }
  me.state = ThreadState::at_warp;
  me.operation = operation;
  me.mask = mask;
  me.value = value;
  me.source = source;
  me.site = site;
  suspend(me.fiber);
  return me.result;
}

}  // namespace weft::sim
