// With all sums over the ranks' shares, N values per channel, xh = (x - mean) r, r = 1 / sqrt(var + eps):
//   y = xh gamma + beta, or max(y, 0);   dz = dy, or dy where y > 0
//   (with a residual e: y = xh gamma + beta + e, and de = dz)
//   dx = gamma r (dz - sum(dz) / N - xh sum(dz xh) / N),   dgamma_i = sum_i(dz xh),   dbeta_i = sum_i(dz)   (rank i's
//   own share)
#include "weft/nn/sync_batch_norm.h"

#include "weft/autograd/autocast.h"
#include "weft/autograd/joint.h"
#include "weft/autograd/last_derivative.h"
#include "weft/autograd/ops/batch_norm_add.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/ops/where.h"
#include "weft/autograd/record.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/ops/batch_norm.h"
#include "weft/tensor/ops/batch_norm_add.h"

namespace weft::nn {

namespace {

using autograd::Saved;

double rows_of(const Tensor& x) { return static_cast<double>(x.numel() / x.shape()[1]); }

// One rank's part of the joint work.
struct Share {
  Tensor x, gamma, beta, running_mean, running_var, residual;
  Tensor mean = {}, inverse_std = {}, y = {};
};

// Mean and inverse deviation over all ranks, on every rank's device; returns the biased variances. Means are weighted
// by count, then come the squared deviations within ranks plus those of the ranks' means.
Tensors merge_statistics(std::vector<Share>& shares, double count, double eps, Order order) {
  const autograd::NoGrad pause;
  Tensors means, variances, parts;
  for (const Share& s : shares) {
    auto [mean, var] = ops::batch_norm_statistics(s.x);
    parts.push_back(mean * (rows_of(s.x) / count));
    means.push_back(mean);
    variances.push_back(var);
  }
  const Tensors merged = ops::all_reduce(parts, order);
  for (size_t i = 0; i < shares.size(); ++i) {
    const Tensor apart = means[i] - merged[i];
    parts[i] = (variances[i] + apart * apart) * (rows_of(shares[i].x) / count);
  }
  Tensors spread = ops::all_reduce(parts, order);
  for (size_t i = 0; i < shares.size(); ++i) {
    shares[i].mean = merged[i];
    shares[i].inverse_std = ops::batch_norm_inverse_std(spread[i], eps);
  }
  return spread;
}

// What the pullback keeps of a rank.
struct Kept {
  Saved x;
  autograd::MaybeSaved gamma;
  bool has_beta, has_residual;
  Tensor mean, inverse_std, y;  // y: the output without history, if it has a ReLU
};

class SyncPullback final : public autograd::Pullback {
 public:
  SyncPullback(std::vector<Kept> kept, double count, double eps, Order order)
      : kept_(std::move(kept)), count_(count), eps_(eps), order_(order) {}

  Tensors pull(std::span<const Tensor> dys, std::span<const bool> wanted) override {
    Tensors dy(dys.begin(), dys.end());
    for (size_t i = 0; i < dy.size(); ++i)
      if (!dy[i].defined())
        dy[i] = zeros_like(kept_[i].x.get());  // a rank whose part of the loss does not depend on this
    Tensors dx = autograd::is_recording() ? composed(dy) : fused(dy);
    if (kept_[0].has_residual) dx = with_residuals(dx, dy);
    for (size_t i = 0; i < dx.size(); ++i)
      if (!wanted[i]) dx[i] = Tensor();
    return dx;
  }

 private:
  // {x, gamma, beta} of each rank, and its residual behind them.
  Tensors with_residuals(const Tensors& dx, const Tensors& dy) const {
    Tensors all;
    for (size_t i = 0; i < dy.size(); ++i) {
      const Tensor& y = kept_[i].y;
      all.insert(all.end(), {dx[3 * i], dx[3 * i + 1], dx[3 * i + 2],
                             y.defined() ? autograd::batch_norm_add_backward(dy[i], y) : dy[i]});
    }
    return all;
  }
  Tensors fused(const Tensors& dy) const {
    Tensors sums, products;
    for (size_t i = 0; i < dy.size(); ++i) {
      auto [sum, product] = ops::batch_norm_sums(kept_[i].x, dy[i], kept_[i].y, kept_[i].mean, kept_[i].inverse_std);
      sums.push_back(sum);
      products.push_back(product);
    }
    const Tensors all_sums = ops::all_reduce(sums, order_), all_products = ops::all_reduce(products, order_);
    Tensors gradients;
    for (size_t i = 0; i < dy.size(); ++i) {
      const Kept& k = kept_[i];
      gradients.push_back(
          ops::batch_norm_dx(k.x, dy[i], k.y, k.mean, k.inverse_std, k.gamma, all_sums[i], all_products[i], count_));
      gradients.push_back(products[i]);
      gradients.push_back(k.has_beta ? sums[i] : Tensor());
    }
    return gradients;
  }

  // The same from recorded operations, for a graph of the gradient.
  Tensors composed(const Tensors& dy) const {
    const size_t n = dy.size();
    Tensors parts(n), centred(n), xh(n), dz(n), root(n);
    for (size_t i = 0; i < n; ++i) parts[i] = per_channel(kept_[i].x.get());
    const Tensors means = everywhere(parts);
    for (size_t i = 0; i < n; ++i) centred[i] = kept_[i].x.get() - column(means[i] / count_, dy[i].rank());
    for (size_t i = 0; i < n; ++i) parts[i] = per_channel(centred[i] * centred[i]);
    const Tensors variances = everywhere(parts);
    for (size_t i = 0; i < n; ++i) {
      root[i] = column(rsqrt(variances[i] / count_ + eps_), dy[i].rank());
      xh[i] = centred[i] * root[i];
      dz[i] = kept_[i].y.defined() ? where(greater(kept_[i].y, 0.0), dy[i], 0.0) : dy[i];
    }
    Tensors sums(n), products(n);
    for (size_t i = 0; i < n; ++i) {
      sums[i] = per_channel(dz[i]);
      products[i] = per_channel(dz[i] * xh[i]);
    }
    const Tensors all_sums = everywhere(sums), all_products = everywhere(products);
    Tensors gradients;
    for (size_t i = 0; i < n; ++i) {
      const Tensor gamma = kept_[i].gamma;
      const int rank = dy[i].rank();
      const Tensor scale = gamma.defined() ? column(gamma, rank) * root[i] : root[i];
      gradients.push_back(
          scale * (dz[i] - column(all_sums[i] / count_, rank) - xh[i] * column(all_products[i] / count_, rank)));
      gradients.push_back(products[i]);
      gradients.push_back(kept_[i].has_beta ? sums[i] : Tensor());
    }
    return gradients;
  }

  static Tensor per_channel(const Tensor& v) {
    ReduceOptions over{.axes = {0}};
    for (int i = 2; i < v.rank(); ++i) over.axes.push_back(i);
    return v.sum(over);
  }
  static Tensor column(const Tensor& v, int rank) {
    Shape shape = Dims::filled(rank, 1);
    shape[1] = v.numel();
    return v.reshape(shape);
  }
  // The sum over ranks on every rank's device, recorded.
  static Tensors everywhere(const Tensors& parts) {
    Tensor sum = parts[0];
    for (size_t i = 1; i < parts.size(); ++i) sum = sum + parts[i].to(sum.device());
    Tensors copies;
    for (const Tensor& part : parts) copies.push_back(sum.to(part.device()));
    return copies;
  }

  std::vector<Kept> kept_;
  double count_, eps_;
  Order order_;
};

// What the last rank does for all.
std::vector<Tensors> normalize_all(std::span<const Tensors> deposits, const weft::BatchNormOptions& options,
                                   const Group& group) {
  const Order order = group.order();
  std::vector<Share> shares;
  double count = 0;
  for (const Tensors& d : deposits) {
    shares.push_back({d[0], d[1], d[2], d[3], d[4], d[5]});
    count += rows_of(d[0]);
  }
  WEFT_CHECK(ShapeError, count > 1, "sync_batch_norm: one value per channel over the whole batch in training, share ",
             deposits[0][0].shape(), "; use a larger batch");
  const Tensors variances = merge_statistics(shares, count, options.eps, order);
  Tensors outputs, inputs;
  std::vector<Kept> kept;
  const bool has_residual = shares[0].residual.defined();
  bool tracked = false;
  for (size_t i = 0; i < shares.size(); ++i) {
    Share& s = shares[i];
    if (s.running_mean.defined())
      ops::batch_norm_update(s.mean, variances[i], count, options.momentum, s.running_mean, s.running_var);
    s.y = has_residual ? ops::batch_norm_add(s.x, s.residual, s.mean, s.inverse_std, s.gamma, s.beta, options.relu)
                       : ops::batch_norm_normalize(s.x, s.mean, s.inverse_std, s.gamma, s.beta, options.relu);
    outputs.push_back(s.y);
    inputs.insert(inputs.end(), {s.x, s.gamma, s.beta});
    if (has_residual) inputs.push_back(s.residual);
    tracked |= autograd::tracked(s.x, s.gamma, s.beta, s.residual);
    kept.push_back({Saved(s.x), autograd::MaybeSaved(s.gamma), s.beta.defined(), has_residual, s.mean, s.inverse_std,
                    options.relu ? s.y.detach() : Tensor()});
  }
  if (tracked)
    autograd::record_pullback("sync_batch_norm", outputs, inputs,
                              std::make_unique<SyncPullback>(std::move(kept), count, options.eps, order),
                              autograd::JointRanks::alike(group, 1, has_residual ? 4 : 3));
  std::vector<Tensors> results;
  for (const Tensor& y : outputs) results.push_back({y});
  return results;
}

// `residual` may be undefined, on all ranks alike.
Tensor meet(const Tensor& x, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
            const Tensor& running_mean, const Tensor& running_var, const weft::BatchNormOptions& options) {
  const RankContext rank = current_rank();
  WEFT_CHECK(DtypeError, !gamma.defined() || gamma.dtype() == DType::f64 || x.dtype() != DType::f64,
             "sync_batch_norm: float64 data with a ", gamma.dtype(), " weight; convert one");
  WEFT_CHECK(ShapeError, x.rank() >= 2, "sync_batch_norm: expected [N, C] or [N, C, d…], got shape ", x.shape());
  const std::string what = weft::detail::concat(residual.defined() ? "sync_batch_norm_add " : "sync_batch_norm ",
                                                x.dtype(), "[", x.shape()[1], "]");
  return rank.group->meet(rank.rank, what, {x, gamma, beta, running_mean, running_var, residual},
                          [&](std::span<const Tensors> all) { return normalize_all(all, options, *rank.group); })[0];
}

}  // namespace

Tensor sync_batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& running_mean,
                       const Tensor& running_var, const weft::BatchNormOptions& options) {
  return meet(x, {}, gamma, beta, running_mean, running_var, options);
}

Tensor sync_batch_norm_add(const Tensor& x, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                           const Tensor& running_mean, const Tensor& running_var,
                           const weft::BatchNormOptions& options) {
  WEFT_CHECK(ShapeError, residual.shape() == x.shape(), "sync_batch_norm_add: the residual has shape ",
             residual.shape(), ", the input ", x.shape(), "; they must agree");
  return meet(autograd::as_wide_as(x, residual), autograd::as_wide_as(residual, x), gamma, beta, running_mean,
              running_var, options);
}

}  // namespace weft::nn
