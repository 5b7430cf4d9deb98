// z = bn(x) + r,   y = z or max(z, 0);   dz = dy, or dy where y > 0;   dr = dz;   dx, dgamma, dbeta are those of bn for
// dz, which batch_norm_backward masks by y itself
#include "weft/autograd/ops/batch_norm_add.h"

#include "weft/autograd/autocast.h"
#include "weft/tensor/ops/batch_norm_add.h"

namespace weft {

Tensor batch_norm_add(const Tensor& images, const Tensor& shortcut, const Tensor& gamma, const Tensor& beta,
                      const Tensor& running_mean, const Tensor& running_var, const BatchNormOptions& options) {
  using namespace autograd;
  const Tensor x = as_wide_as(images, shortcut), residual = as_wide_as(shortcut, images);
  const BatchNormBasis basis = batch_norm_basis(x, running_mean, running_var, options);
  Tensor y = ops::batch_norm_add(x, residual, basis.mean, basis.inverse_std, gamma, beta, options.relu);
  batch_norm_advance(basis, x, running_mean, running_var, options);
  if (!tracked(x, residual, gamma, beta)) return y;
  const BatchNormKept kept = batch_norm_kept(basis, y, gamma, beta, options);
  const Tensor inputs[] = {x, gamma, beta, residual};
  record_joint(
      "batch_norm_add", std::span(&y, 1), inputs,
      [x = saved(x), gamma = MaybeSaved(gamma), kept](std::span<const Tensor> dys, std::span<const bool> wanted) {
        Tensors dxs(3);
        if (wanted[0] || wanted[1] || wanted[2]) dxs = batch_norm_backward(dys[0], x, gamma, kept, wanted.first(3));
        const Tensor output = kept.y;
        dxs.push_back(!wanted[3] ? Tensor() : output.defined() ? batch_norm_add_backward(dys[0], output) : dys[0]);
        return dxs;
      });
  return y;
}

Tensor autograd::batch_norm_add_backward(const Tensor& dy, const Tensor& y) {
  Tensor dz = ops::batch_norm_add_backward(dy, y);
  if (!tracked(dy)) return dz;
  return record("batch_norm_add_backward", dz,
                edge(dy, [y = saved(y)](const Tensor& g) { return batch_norm_add_backward(g, y); }));
}

}  // namespace weft
