// The members of Tensor that speak to the tape.
#include "weft/autograd/backward.h"
#include "weft/tensor/tensor.h"

namespace weft {

Tensor& Tensor::attach_grad(GradReq request) {
  WEFT_CHECK(AutogradError, is_floating(dtype()), "attach_grad: a tensor of dtype ", dtype(),
             " has no gradient; convert with .to(DType::f32)");
  weft::detail::TensorImpl& self = impl();
  self.slot =
      request == GradReq::null ? Ref<TapeSlot>() : Ref<TapeSlot>(new autograd::Leaf(current_stream(device()), request));
  self.slot_index = 0;
  return *this;
}

Tensor Tensor::grad() const {
  const autograd::Leaf* leaf = autograd::leaf_of(*this);
  return leaf ? leaf->grad() : Tensor();
}

void Tensor::zero_grad() const {
  if (autograd::Leaf* leaf = autograd::leaf_of(*this)) leaf->set_grad(Tensor());
}

Tensor Tensor::detach() const {
  const weft::detail::TensorImpl& self = impl();
  auto copy = weft::detail::make_impl();
  copy->storage = self.storage;
  copy->offset = self.offset;
  copy->shape = self.shape;
  copy->strides = self.strides;
  copy->numel = self.numel;
  copy->dtype = self.dtype;
  return Tensor(std::move(copy));
}

void Tensor::register_hook(std::function<Tensor(const Tensor&)> hook) const {
  const autograd::Edge edge = autograd::edge_of(*this);
  WEFT_CHECK(AutogradError, edge.node, "register_hook: a tensor of shape ", shape(), " on ", device(),
             " is not tracked; call attach_grad() on it, or compute it from one that is, while recording");
  edge.node->add_hook(edge.output, std::move(hook));
}

void Tensor::backward() const { autograd::backward({*this}); }
void Tensor::backward(const BackwardOptions& options) const { autograd::backward({*this}, options); }

}  // namespace weft
