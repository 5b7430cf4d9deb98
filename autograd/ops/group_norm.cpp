// xh = (x - mean) r,  r = 1 / sqrt(var + eps),  y = xh gamma + beta;   u = dy gamma
//   dbeta = sum dy,   dgamma = sum dy xh,   dx = r (u - mean(u) - xh mean(u xh)),   means over a group
// While the backward pass is recorded, all of it is composed of recorded operations, mean and r too.
#include "weft/autograd/ops/group_norm.h"
#include "weft/autograd/autocast.h"

#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"

namespace weft {

namespace {

using ops::GroupNormRows;

// Everything seen as [samples, groups, channels of a group, spatial], in the compute dtype.
struct Blocks {
  const GroupNormRows& rows;
  DType wide;

  Tensor of(const Tensor& x) const {
    const int64_t samples = rows.groups > 0 ? rows.rows / rows.groups : 0;
    return x.to(wide).reshape({samples, rows.groups, rows.channels / rows.groups, rows.spatial});
  }
  Tensor of_row(const Tensor& v) const { return v.reshape({rows.rows / rows.groups, rows.groups, 1, 1}); }
  Tensor of_channels(const Tensor& v) const {
    return v.to(wide).reshape({1, rows.groups, rows.channels / rows.groups, 1});
  }
  static Tensor group_mean(const Tensor& v) { return mean(v, {.axes = {2, 3}, .keep = true}); }
  static Tensor channel_sum(const Tensor& v, const Tensor& like, DType dtype) {
    return sum(v, {.axes = {0, 3}}).reshape(like.shape()).to(dtype);
  }
};

struct Normalized {
  Tensor xh, r;
};
// From x itself, recorded.
Normalized normalized(const Tensor& x, double eps) {
  const Tensor d = x - Blocks::group_mean(x), r = rsqrt(Blocks::group_mean(d * d) + eps);
  return {d * r, r};
}

Tensor run(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps, const GroupNormRows& rows) {
  using namespace autograd;
  auto [y, mean, inverse_std] = ops::group_norm(x, gamma, beta, eps, rows);
  if (!tracked(x, gamma, beta)) return y;
  const GroupNormKept kept{Saved(mean), Saved(inverse_std), rows, eps};
  const Tensor inputs[] = {x, gamma, beta};
  record_joint(rows.name, std::span(&y, 1), inputs,
               [x = saved(x), gamma = MaybeSaved(gamma), beta = beta.defined() ? beta.detach() : Tensor(), kept](
                   std::span<const Tensor> dys, std::span<const bool> wanted) {
                 const Tensor scale = gamma, &dy = dys[0], &in = x;
                 const Blocks blocks{kept.rows, compute_dtype(in.dtype())};
                 Tensors dxs(3);
                 if (wanted[0]) dxs[0] = group_norm_backward(dy, in, scale, kept);
                 if (wanted[1]) {
                   const Tensor wide = blocks.of(in);
                   const Tensor xh = tracked(in) ? normalized(wide, kept.eps).xh
                                                 : (wide - blocks.of_row(kept.mean)) * blocks.of_row(kept.inverse_std);
                   dxs[1] = Blocks::channel_sum(blocks.of(dy) * xh, scale, scale.dtype());
                 }
                 if (wanted[2]) dxs[2] = Blocks::channel_sum(blocks.of(dy), beta, beta.dtype());
                 return dxs;
               });
  return y;
}

GroupNormRows channel_rows(const char* name, const Tensor& x, int64_t groups) {
  WEFT_CHECK(ShapeError, x.rank() >= 2, name, ": expected [N, C] or [N, C, d…], got shape ", x.shape());
  const int64_t channels = x.shape()[1];
  WEFT_CHECK(ShapeError, groups > 0 && channels > 0 && channels % groups == 0, name, ": ", groups,
             " groups do not divide the ", channels, " channels of shape ", x.shape());
  int64_t spatial = 1;
  for (int i = 2; i < x.rank(); ++i) spatial *= x.shape()[i];
  return {name, x.shape()[0] * groups, groups, channels, spatial};
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Shape& normalized, const Tensor& gamma, const Tensor& beta, double eps) {
  const int first = x.rank() - normalized.rank();
  bool fits = first >= 0 && normalized.rank() > 0;
  int64_t rows = 1, elements = 1;
  for (int i = 0; fits && i < x.rank(); ++i) {
    fits = i < first || x.shape()[i] == normalized[i - first];
    (i < first ? rows : elements) *= x.shape()[i];
  }
  WEFT_CHECK(ShapeError, fits, "layer_norm: the last extents of shape ", x.shape(), " are not ", normalized);
  for (const Tensor* v : {&gamma, &beta})
    WEFT_CHECK(ShapeError, !v->defined() || v->shape() == normalized, "layer_norm: gamma or beta has shape ",
               v->shape(), "; it must be ", normalized);
  return run(autograd::in_full(x), gamma, beta, eps, {"layer_norm", rows, 1, elements, 1});
}

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& gamma, const Tensor& beta, double eps) {
  return run(autograd::in_full(x), gamma, beta, eps, channel_rows("group_norm", x, groups));
}

Tensor instance_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  return run(x, gamma, beta, eps, channel_rows("instance_norm", x, x.rank() >= 2 ? x.shape()[1] : 1));
}

Tensor autograd::group_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gamma,
                                     const GroupNormKept& kept) {
  if (!tracked(dy, x, gamma)) return ops::group_norm_backward(dy, x, gamma, kept.mean, kept.inverse_std, kept.rows);
  const Blocks blocks{kept.rows, compute_dtype(x.dtype())};
  const auto [xh, r] = normalized(blocks.of(x), kept.eps);
  const Tensor u = gamma.defined() ? blocks.of(dy) * blocks.of_channels(gamma) : blocks.of(dy);
  const Tensor dx = r * (u - Blocks::group_mean(u) - xh * Blocks::group_mean(u * xh));
  return dx.reshape(x.shape()).to(x.dtype());
}

}  // namespace weft
