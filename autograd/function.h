// Function: a user's own operation with its own gradient.
//
//   struct Cube : autograd::Function {
//     Tensors forward(Context& context, const Tensors& x) override { context.save(x[0]); return {x[0] * x[0] * x[0]}; }
//     Tensors backward(Context& context, const Tensors& dy) override { return {3 * square(context.saved(0)) * dy[0]}; }
//   };
//   Tensor y = autograd::apply<Cube>(x);
#pragma once

#include <any>
#include <memory>

#include "weft/autograd/record.h"

namespace weft::autograd {

/// What forward keeps for backward: one per call, so that a Function can be used any number of times.
class Context {
 public:
  /// Keeps a tensor; a later in-place change of it makes backward throw.
  void save(const Tensor& x) { saved_.push_back(Saved(x)); }
  const Tensor& saved(size_t i) const { return saved_.at(i).get(); }
  /// Anything else that backward needs.
  std::any data;
  /// True if input i takes a gradient; others may be returned undefined.
  bool wants(size_t i) const { return i < wanted_.size() && wanted_[i]; }

 private:
  friend class Function;
  friend struct FunctionPullback;
  std::vector<Saved> saved_;
  std::vector<bool> wanted_;
};

class Function {
 public:
  virtual ~Function() = default;
  /// Runs without recording. Outputs must be new tensors.
  virtual Tensors forward(Context& context, const Tensors& x) = 0;
  /// dy: one per output, zeros where no gradient arrived. One gradient per input, of its shape; undefined for zero.
  /// Recorded under create_graph if it calls recorded operations.
  virtual Tensors backward(Context& context, const Tensors& dy) = 0;
  virtual const char* name() const { return "Function"; }
};

/// Applies a function; throws AutogradError when backward returns a wrong count, shape, dtype or device.
Tensors apply(std::shared_ptr<Function> function, const Tensors& inputs);

template <class F, class... T>
Tensor apply(const T&... inputs) {
  return autograd::apply(std::make_shared<F>(), Tensors{inputs...}).at(0);  // qualified: not std::apply
}

}  // namespace weft::autograd
