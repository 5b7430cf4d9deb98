// Autocast: inside its scope this thread's products run in a 16-bit type, and what needs range or digits in f32.
// Parameters, their gradients and the optimizer stay f32.
//
//   {
//     autograd::Record record;
//     autograd::Autocast autocast(DType::bf16);
//     loss = nn::SoftmaxCrossEntropyLoss()(net(x), labels);
//   }
//   loss.backward();
//
// As torch.autocast, with CUDA's lists on every device:
//   16 bit       matmul linear conv1d conv2d conv_transpose2d
//   f32          softmax log_softmax layer_norm group_norm sum prod cumsum norm exp expm1 log log1p pow reciprocal
//   rsqrt
//                softplus number / x; losses of 16-bit scores come out in f32 in any case
//   widest type  operations of several tensors: add … where concat lerp scatter_add batch_norm_add
//   as it comes  all others; batch and instance norm of 16-bit input take f32 parameters and statistics, and give 16
//   bit
// In-place operations, f64 and integers are left alone. An operation says what it is in its own file, by one of the
// functions at the end. Casts are recorded: gradients come back in the type that was cast.
//
// Backward passes run without any autocast, in the types of the forward pass; Function::backward runs under that of its
// forward.
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "weft/tensor/tensor.h"

namespace weft::autograd {

class CastCache;

/// The autocast of a thread, as a value; workers copy the caller's.
class CastState {
 public:
  /// What is in force in this thread.
  static CastState current();
  /// The 16-bit type of products on devices of this type, if there is an autocast for them.
  std::optional<DType> product(DeviceType type) const { return types_[static_cast<size_t>(type)]; }
  bool any() const;
  /// The same types; casts of parameters are not kept.
  CastState without_cache() const;
  CastCache* cache() const { return cache_.get(); }

 private:
  friend class Autocast;
  std::array<std::optional<DType>, device_types> types_;
  std::shared_ptr<CastCache> cache_;  // of the outermost scope
};

/// Puts a state in force in this thread until the end of the scope.
class CastGuard {
 public:
  /// No autocast.
  CastGuard() : CastGuard(CastState()) {}
  explicit CastGuard(CastState next);
  ~CastGuard();
  CastGuard(const CastGuard&) = delete;
  CastGuard& operator=(const CastGuard&) = delete;

 private:
  CastState state_;
  const CastState* previous_;
};

struct AutocastOptions {
  bool enabled = true;                         ///< false: operations run in the types of their inputs again
  std::optional<DeviceType> device_type = {};  ///< only there; the other's autocast stays as it is
  bool cache = true;                           ///< keep casts of parameters until the outermost scope ends
};

/// Scopes nest and restore, also when left by an exception. In a scope a parameter is cast once per stream and change
/// of its value, however often it is used.
class Autocast : CastGuard {
 public:
  /// `dtype`: f16 or bf16, else DtypeError.
  explicit Autocast(DType dtype, const AutocastOptions& options = {});
  /// In bf16, or not at all: Autocast plain({.enabled = false}).
  explicit Autocast(const AutocastOptions& options) : Autocast(DType::bf16, options) {}

 private:
  static CastState entered(DType dtype, const AutocastOptions& options);
};

/// True if this thread is inside an Autocast that is not disabled.
bool is_autocasting() noexcept;

// What recorded operations call on their inputs; undefined tensors pass.

/// f32 and 16-bit types in the type of products.
Tensor for_product(const Tensor& x);
/// 16-bit types as f32.
Tensor in_full(const Tensor& x);
/// x, or if its dtype is narrower than the other's, in that one: for operations whose inputs share a dtype.
Tensor as_wide_as(const Tensor& x, const Tensor& other);

}  // namespace weft::autograd
