#include "weft/autograd/function.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/ops/copy.h"

namespace weft::autograd {

/// Runs a Function's backward and checks what it returns.
struct FunctionPullback final : Pullback {
  struct Meta {
    Shape shape;
    DType dtype = DType::f32;
    Device device;
  };
  static Meta meta_of(const Tensor& x) { return {x.shape(), x.dtype(), x.device()}; }

  FunctionPullback(std::shared_ptr<Function> f, Context c) : function(std::move(f)), context(std::move(c)) {}

  Tensors pull(std::span<const Tensor> dys, std::span<const bool> wanted) override {
    context.wanted_.assign(wanted.begin(), wanted.end());
    Tensors dy(dys.begin(), dys.end());
    for (size_t i = 0; i < dy.size(); ++i)
      if (!dy[i].defined()) dy[i] = zeros(outputs[i].shape, {.dtype = outputs[i].dtype, .device = outputs[i].device});
    const CastGuard as_in_forward(casts);
    Tensors dx = function->backward(context, dy);
    WEFT_CHECK(AutogradError, dx.size() == inputs.size(), "backward of ", function->name(), ": returned ", dx.size(),
               " gradients for ", inputs.size(), " inputs");
    for (size_t i = 0; i < dx.size(); ++i) {
      if (!wanted[i]) dx[i] = Tensor();
      if (!dx[i].defined()) continue;
      if (casts.any() && is_floating(dx[i].dtype())) dx[i] = to(dx[i], inputs[i].dtype);
      check(i, dx[i]);
    }
    return dx;
  }

  void check(size_t i, const Tensor& dx) const {
    const Meta& x = inputs[i];
    WEFT_CHECK(AutogradError, dx.shape() == x.shape && dx.dtype() == x.dtype && dx.device() == x.device, "backward of ",
               function->name(), ": gradient ", i, " is ", dx.dtype(), dx.shape(), " on ", dx.device(), ", but input ",
               i, " is ", x.dtype, x.shape, " on ", x.device);
  }

  std::shared_ptr<Function> function;
  Context context;
  CastState casts = CastState::current().without_cache();  // of the forward pass
  std::vector<Meta> inputs, outputs;
};

Tensors apply(std::shared_ptr<Function> function, const Tensors& inputs) {
  bool track = false;
  for (const Tensor& x : inputs) track |= tracked(x);
  Context context;
  Tensors outputs;
  {
    const NoGrad pause;
    outputs = function->forward(context, inputs);
  }
  if (!track) return outputs;
  const char* name = function->name();
  auto pullback = std::make_unique<FunctionPullback>(std::move(function), std::move(context));
  for (const Tensor& x : inputs) pullback->inputs.push_back(FunctionPullback::meta_of(x));
  for (Tensor& y : outputs) {
    WEFT_CHECK(AutogradError, y.defined(), name, ": forward returned an undefined tensor");
    y = y.detach();  // a function may return one of its inputs
    pullback->outputs.push_back(FunctionPullback::meta_of(y));
  }
  record_pullback(name, outputs, inputs, std::move(pullback));
  return outputs;
}

}  // namespace weft::autograd
