// How cuDNN would compute a convolution: the search for an engine that keeps weft's promises (the same bits every time,
// f32 in f32). No device memory is touched here, and for a device described in words neither a GPU nor a driver is
// needed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/cuda/dnn_graph.h"

namespace weft::cuda {

/// The device a plan is for.
class PlanTarget {
 public:
  /// The handle's device.
  explicit PlanTarget(cudnnHandle_t handle) : handle_(handle) {}
  /// A device described by cuDNN's JSON of its properties.
  explicit PlanTarget(std::string_view json);

 private:
  friend class PlanSearch;
  cudnnHandle_t handle_ = nullptr;
  std::optional<Descriptor> properties_;
};

/// An execution plan, and what it refers to. One thread at a time may run it.
struct ConvPlan {
  std::shared_ptr<const ConvGraph> graph;
  Descriptor configuration, plan;
  int64_t workspace = 0;  ///< bytes of device memory, aligned to 256
  int64_t engine = 0;     ///< cuDNN's number of the engine
  int position = 0;       ///< how many configurations the heuristics ranked before this one
  std::string notes;      ///< of the engine: "TENSOR_CORE, WINOGRAD"; "" if there are none
};

/// Plans that need more than this are passed over.
inline constexpr int64_t max_conv_workspace = int64_t{1} << 30;

struct FoundPlans {
  std::vector<ConvPlan> plans;
  std::string why;  ///< without a plan: "cuDNN has no plan: of 9 configurations 3 are NONDETERMINISTIC, 6 fail (…)"
};
/// The first `most` configurations from place `from` on, in the order of cuDNN's heuristics (mode A, then fallback),
/// that are admitted and that cuDNN can make a plan of. Dropped are: NONDETERMINISTIC unless allowed; for f32
/// TENSOR_CORE and DOWN_CONVERT_INPUTS unless TF32 is allowed; always REDUCED_PRECISION_REDUCTION, WINOGRAD and FFT,
/// which are not exact for integers. Throws Error if cuDNN fails in another way than by not supporting the convolution.
FoundPlans find_plans(const Convolution& key, const PlanTarget& target, int most, int from = 0);

struct FoundPlan {
  std::optional<ConvPlan> plan;
  std::string why;
};
/// The first of them.
FoundPlan find_plan(const Convolution& key, const PlanTarget& target);

/// Addresses as in Conv2dArgs; a bias if the plan has one, else null.
struct ConvOperands {
  void* x;
  void* w;
  void* y;
  void* bias = nullptr;
};
/// Queues the plan on the handle's stream. `workspace` may be null if it needs none.
void run_plan(const ConvPlan& plan, cudnnHandle_t handle, const ConvOperands& operands, void* workspace);

}  // namespace weft::cuda
