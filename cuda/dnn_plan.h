// How cuDNN would compute a convolution: the description of the convolution, and the search for an engine that keeps
// weft's promises (the same bits every time, sums of f32 products in f32). No device memory is touched here, and with a
// device described in words neither a GPU nor a driver is needed.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/cuda/dnn_descriptor.h"
#include "weft/tensor/ops/conv2d.h"

namespace weft::cuda {

/// Conv2dArgs without addresses, in the form that keys plans: equal keys, equal plans on one kind of device.
struct Convolution {
  ConvPass pass = ConvPass::forward;
  DType dtype = DType::f32;
  bool tf32 = false;              ///< f32 operands may be rounded to TF32
  bool nondeterministic = false;  ///< sums may be taken in any order
  int64_t alignment = 16;         ///< of the three addresses, in bytes; at least the element's size
  int64_t n = 0, c = 0, h = 0, w = 0;
  int64_t o = 0, kh = 0, kw = 0;
  int64_t oh = 0, ow = 0;
  int64_t groups = 1;
  int64_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  int64_t top = 0, bottom = 0, left = 0, right = 0;

  friend bool operator==(const Convolution&, const Convolution&) = default;
};
struct ConvolutionHash {
  size_t operator()(const Convolution& key) const noexcept;
};

/// The key of `args`. Paddings below and to the right that no output reads are chosen equal to those above and to the
/// left where that gives the same output: for equal ones cuDNN has more engines.
Convolution describe(const Conv2dArgs& args, bool nondeterministic);
/// "data f32 8x64x120x120, 128 of 3x3 s2 d1 g1 p1"
std::string to_string(const Convolution& key);

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
  std::vector<Descriptor> parts;
  int64_t workspace = 0;  ///< bytes of device memory, aligned to 256
  int64_t engine = 0;     ///< cuDNN's number of the engine
  int position = 0;       ///< how many configurations the heuristics ranked before this one
  std::string notes;      ///< of the engine: "TENSOR_CORE, WINOGRAD"; "" if there are none

  const Descriptor& plan() const { return parts.back(); }
};

/// Plans that need more than this are passed over.
inline constexpr int64_t max_conv_workspace = int64_t{1} << 30;

struct FoundPlan {
  std::optional<ConvPlan> plan;
  std::string why;  ///< without a plan: "cuDNN has no plan: of 9 configurations 3 are NONDETERMINISTIC, 6 fail (…)"
};
/// The first configuration, in the order of cuDNN's heuristics (mode A, then fallback), that is admitted and that cuDNN
/// can make a plan of. Dropped are: NONDETERMINISTIC unless allowed; for f32 TENSOR_CORE and DOWN_CONVERT_INPUTS unless
/// TF32 is allowed; always REDUCED_PRECISION_REDUCTION, WINOGRAD and FFT, which are not exact for integers.
/// Throws Error if cuDNN fails in another way than by not supporting the convolution.
FoundPlan find_plan(const Convolution& key, const PlanTarget& target);

/// Queues the plan on the handle's stream. Addresses as in Conv2dArgs; `workspace` may be null if it needs none.
void run_plan(const ConvPlan& plan, cudnnHandle_t handle, void* x, void* w, void* y, void* workspace);

}  // namespace weft::cuda
