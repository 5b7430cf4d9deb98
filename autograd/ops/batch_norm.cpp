// xh = (x - mean) r,  r = 1 / sqrt(var + eps),  z = xh gamma + beta,  y = z or max(z, 0);   dz = dy, or dy where y > 0
//   dbeta = sum dz,   dgamma = sum dz xh,   dx = gamma r P(dz),   P(v) = v - sum(v) / n - xh sum(v xh) / n
// for gradients G, a, b of dx, dgamma, dbeta, with Q = sum G P(dz), all sums per channel:
//   ddz = gamma r P(G) + a xh + b,   dgamma = r Q,
//   dx = r P(h) - gamma r^2 Q xh / n,   h = a dz - (gamma r / n) (G sum(dz xh) + dz sum(G xh))
// With given statistics P(v) = v, and the terms with 1 / n are absent.
#include "weft/autograd/ops/batch_norm.h"

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/where.h"
#include "weft/tensor/ops/batch_norm.h"
#include "weft/tensor/ops/copy.h"

namespace weft {

namespace {

// Values per channel.
double count_of(const Tensor& x) { return x.numel() > 0 ? static_cast<double>(x.numel() / x.shape()[1]) : 0; }

void check(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, bool training) {
  WEFT_CHECK(ShapeError, x.rank() >= 2, "batch_norm: expected [N, C] or [N, C, d…], got shape ", x.shape());
  WEFT_CHECK(Error, running_mean.defined() == running_var.defined(),
             "batch_norm: one of running_mean and running_var is undefined; give both or neither");
  if (training) {
    WEFT_CHECK(ShapeError, x.numel() == 0 || count_of(x) > 1, "batch_norm: one value per channel in training, shape ",
               x.shape(), "; use a larger batch, or the running statistics");
  } else {
    WEFT_CHECK(Error, running_mean.defined(), "batch_norm: no running statistics; give them, or set .training = true");
  }
}

// The gradients of batch_norm_backward by {dy, x, gamma}, composed of elementary operations. Vectors are [1, C, 1…].
struct Second {
  const Tensor &dy, &x, &gamma;
  const autograd::BatchNormKept& kept;
  Tensor mean = kept.mean, r = kept.inverse_std, y = kept.y;
  double n = count_of(x);

  Tensor column(const Tensor& v) const {
    Shape shape = Dims::filled(x.rank(), 1);
    shape[1] = v.numel();
    return v.to(r.dtype()).reshape(shape);
  }
  Tensor total(const Tensor& v) const {
    ReduceOptions over{.axes = {0}, .keep = true};
    for (int i = 2; i < x.rank(); ++i) over.axes.push_back(i);
    return v.sum(over);
  }
  Tensor project(const Tensor& v, const Tensor& xh) const {
    return kept.training ? v - total(v) / n - xh * (total(v * xh) / n) : v;
  }

  Tensors gradients(const Tensor& g, const Tensor& a, const Tensor& b) const {
    const autograd::NoGrad pause;
    const DType wide = r.dtype();
    const Tensor root = column(r), xh = (x.to(wide) - column(mean)) * root;
    const Tensor scale = gamma.defined() ? column(gamma) * root : root;
    const Tensor dz = y.defined() ? where(greater(y, 0.0), dy.to(wide), 0.0) : dy.to(wide);
    Tensor ddz = zeros_like(xh), dx = ddz, dgamma, h;
    if (g.defined()) {
      const Tensor wide_g = g.to(wide), q = total(wide_g * project(dz, xh));
      ddz = scale * project(wide_g, xh);
      dgamma = root * q;
      if (kept.training) {
        h = -(scale / n) * (wide_g * total(dz * xh) + dz * total(wide_g * xh));
        dx = -(scale * root * q / n) * xh;
      }
    }
    if (a.defined()) {
      ddz = ddz + column(a) * xh;
      const Tensor term = column(a) * dz;
      h = h.defined() ? h + term : term;
    }
    if (b.defined()) ddz = ddz + column(b);
    if (h.defined()) dx = dx + root * project(h, xh);
    if (y.defined()) ddz = where(greater(y, 0.0), ddz, 0.0);
    if (gamma.defined())
      dgamma = dgamma.defined() ? dgamma.reshape(gamma.shape()).to(gamma.dtype()) : zeros_like(gamma);
    return {ddz.to(dy.dtype()), dx.to(x.dtype()), dgamma};
  }
};

}  // namespace

autograd::BatchNormBasis autograd::batch_norm_basis(const Tensor& x, const Tensor& running_mean,
                                                    const Tensor& running_var, const BatchNormOptions& options) {
  check(x, running_mean, running_var, options.training);
  BatchNormBasis basis{running_mean, running_var, {}, options.training && x.numel() > 0};
  if (basis.by_batch) std::tie(basis.mean, basis.var) = ops::batch_norm_statistics(x);
  if (!basis.mean.defined())
    basis.mean = basis.var = zeros({x.shape()[1]}, {.dtype = compute_dtype(x.dtype()), .device = x.device()});
  basis.inverse_std = ops::batch_norm_inverse_std(basis.var, options.eps);
  return basis;
}

void autograd::batch_norm_advance(const BatchNormBasis& basis, const Tensor& x, const Tensor& running_mean,
                                  const Tensor& running_var, const BatchNormOptions& options) {
  if (!basis.by_batch || !running_mean.defined()) return;
  Tensor to_mean = running_mean, to_var = running_var;
  ops::batch_norm_update(basis.mean, basis.var, count_of(x), options.momentum, to_mean, to_var);
}

autograd::BatchNormKept autograd::batch_norm_kept(const BatchNormBasis& basis, const Tensor& y, const Tensor& gamma,
                                                  const Tensor& beta, const BatchNormOptions& options) {
  return {Saved(basis.mean),
          Saved(basis.inverse_std),
          MaybeSaved(options.relu ? y.detach() : Tensor()),
          options.training,
          gamma.defined() ? gamma.dtype() : basis.inverse_std.dtype(),
          beta.defined() ? beta.dtype() : basis.inverse_std.dtype()};
}

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& running_mean,
                  const Tensor& running_var, const BatchNormOptions& options) {
  using namespace autograd;
  const BatchNormBasis basis = batch_norm_basis(x, running_mean, running_var, options);
  Tensor y = ops::batch_norm_normalize(x, basis.mean, basis.inverse_std, gamma, beta, options.relu);
  batch_norm_advance(basis, x, running_mean, running_var, options);
  if (!tracked(x, gamma, beta)) return y;
  const BatchNormKept kept = batch_norm_kept(basis, y, gamma, beta, options);
  const Tensor inputs[] = {x, gamma, beta};
  record_joint(
      "batch_norm", std::span(&y, 1), inputs,
      [x = saved(x), gamma = MaybeSaved(gamma), kept](std::span<const Tensor> dys, std::span<const bool> wanted) {
        return batch_norm_backward(dys[0], x, gamma, kept, wanted);
      });
  return y;
}

Tensors autograd::batch_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma, const BatchNormKept& kept,
                                      std::span<const bool> wanted) {
  const Tensor mean = kept.mean, inverse_std = kept.inverse_std, y = kept.y;
  Tensor dx, dgamma, dbeta, sum_dz, sum_dz_xh;
  if (wanted[1] || wanted[2] || (wanted[0] && kept.training))
    std::tie(sum_dz, sum_dz_xh) = ops::batch_norm_sums(x, dy, y, mean, inverse_std);
  if (wanted[0]) {
    const Tensor given;
    dx = ops::batch_norm_dx(x, dy, y, mean, inverse_std, gamma, kept.training ? sum_dz : given,
                            kept.training ? sum_dz_xh : given, count_of(x));
  }
  if (wanted[1]) dgamma = ops::cast(sum_dz_xh, kept.gamma_dtype);
  if (wanted[2]) dbeta = ops::cast(sum_dz, kept.beta_dtype);
  if (!tracked(dy, x, gamma)) return {dx, dgamma, dbeta};

  // Nodes have no undefined outputs: those that exist are recorded, and put back in their places.
  Tensors outputs;
  int place[3];
  const Tensor* const results[] = {&dx, &dgamma, &dbeta};
  for (int i = 0; i < 3; ++i) {
    place[i] = results[i]->defined() ? static_cast<int>(outputs.size()) : -1;
    if (results[i]->defined()) outputs.push_back(*results[i]);
  }
  const Tensor inputs[] = {dy, x, gamma};
  record_joint("batch_norm_backward", outputs, inputs,
               [dy = saved(dy), x = saved(x), gamma = MaybeSaved(gamma), kept, a = place[0], b = place[1],
                c = place[2]](std::span<const Tensor> dys, std::span<const bool> needed) {
                 const auto gradient = [&](int at) { return at < 0 ? Tensor() : dys[static_cast<size_t>(at)]; };
                 const Tensor scale = gamma, ga = gradient(a), gb = gradient(b), gc = gradient(c);
                 Tensors result = Second{.dy = dy, .x = x, .gamma = scale, .kept = kept}.gradients(ga, gb, gc);
                 for (size_t i = 0; i < result.size(); ++i)
                   result[i] = needed[i]
                                   ? last_derivative("batch_norm", result[i], ga, gb, gc, dy.get(), x.get(), scale)
                                   : Tensor();
                 return result;
               });
  const auto output = [&](int at) { return at < 0 ? Tensor() : outputs[static_cast<size_t>(at)]; };
  return {output(place[0]), output(place[1]), output(place[2])};
}

}  // namespace weft
