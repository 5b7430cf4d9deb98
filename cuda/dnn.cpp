#include "weft/cuda/dnn.h"

#include <atomic>

#include "weft/cuda/dnn_trial.h"
#include "weft/cuda/options.h"

namespace weft::cuda {

namespace {
constinit std::atomic<bool> plain{false};
constinit std::atomic<bool> nondeterministic{false};
}  // namespace

bool plain_convolution() noexcept { return plain.load(std::memory_order_relaxed); }
void set_plain_convolution(bool value) noexcept { plain.store(value, std::memory_order_relaxed); }
bool nondeterministic_convolution() noexcept { return nondeterministic.load(std::memory_order_relaxed); }
void set_nondeterministic_convolution(bool value) noexcept { nondeterministic.store(value, std::memory_order_relaxed); }

Dnn::Dnn(int) { check(cudnnCreate(handle_.out()), "cuDNN: create"); }

FoundPlan Dnn::search(const Convolution& key, const ConvOperands& operands, Stream stream) {
  FoundPlan found = find_plan(key, PlanTarget(handle()));
  if (found.plan && key.relu && !keeps_nan(*found.plan, key, handle(), operands, stream))
    return {.plan = {}, .why = "cuDNN's plan makes 0 of NaN"};
  return found;
}

const FoundPlan& Dnn::plan(const Convolution& key, const ConvOperands& operands, Stream stream) {
  if (const auto known = plans_.find(key); known != plans_.end()) return known->second;
  if (plans_.size() >= max_plans) {
    // A plan may own a kernel that is still running.
    check(cudaDeviceSynchronize(), "cuDNN: forget plans");
    plans_.clear();
  }
  return plans_.emplace(key, search(key, operands, stream)).first->second;
}

}  // namespace weft::cuda
