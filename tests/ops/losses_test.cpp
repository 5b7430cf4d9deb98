// Losses of class labels composed of recorded operations, and what picks labels: values against loops, gradients of
// both orders.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/dice_loss.h"
#include "weft/autograd/ops/focal_loss.h"
#include "weft/autograd/ops/nll_loss.h"
#include "weft/autograd/ops/ohem.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::test;

namespace {

// Scores [N, C, d…] seen as [N, C, inner], for losses of class labels.
struct Positions {
  const Array& x;
  int64_t classes, inner;
  explicit Positions(const Array& scores) : x(scores), classes(scores.size(1)), inner(1) {
    for (int d = 2; d < x.shape.rank(); ++d) inner *= x.size(d);
  }
  double score(int64_t i, int64_t c) const { return x[(i / inner * classes + c) * inner + i % inner]; }
  double probability(int64_t i, int64_t c) const {
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(score(i, k) - score(i, c));
    return 1 / sum;
  }
};

// v: scores, labels, and class weights if there is a third. loss(positions, i, label) is that of weight 1.
template <class Loss>
Reference of_labels(LossReduction reduction, double ignore, const Loss& loss) {
  return [=](const Arrays& v) {
    const Positions positions(v[0]);
    Array losses(v[1].shape);
    double total = 0, weight = 0;
    for (int64_t i = 0; i < v[1].numel(); ++i) {
      if (v[1][i] == ignore) continue;
      const auto label = static_cast<int64_t>(v[1][i]);
      const double w = v.size() > 2 ? v[2][label] : 1;
      losses[i] = w * loss(positions, i, label);
      total += losses[i];
      weight += w;
    }
    if (reduction == LossReduction::none) return losses;
    return Array({}, {reduction == LossReduction::sum ? total : weight > 0 ? total / weight : 0});
  };
}

Reference naive_nll(LossReduction reduction, double ignore = -1) {
  return of_labels(reduction, ignore, [](const Positions& p, int64_t i, int64_t label) { return -p.score(i, label); });
}
OpFunction nll(LossReduction reduction, int64_t ignore = -1) {
  return [=](const Tensors& v) {
    return nll_loss(v[0], v[1],
                    {.ignore_label = ignore, .weights = v.size() > 2 ? v[2] : Tensor(), .reduction = reduction});
  };
}

Reference naive_focal(double gamma, LossReduction reduction, double ignore = -1) {
  return of_labels(reduction, ignore, [gamma](const Positions& p, int64_t i, int64_t label) {
    const double q = p.probability(i, label);
    return -std::pow(1 - q, gamma) * std::log(q);
  });
}
OpFunction focal(double gamma, LossReduction reduction, int64_t ignore = -1) {
  return [=](const Tensors& v) {
    return focal_loss(
        v[0], v[1],
        {.gamma = gamma, .ignore_label = ignore, .weights = v.size() > 2 ? v[2] : Tensor(), .reduction = reduction});
  };
}

Reference naive_dice(double smooth, LossReduction reduction, double ignore = -1) {
  return [=](const Arrays& v) {
    const Positions p(v[0]);
    Array losses({v[0].size(0)});
    double total = 0;
    for (int64_t n = 0; n < v[0].size(0); ++n) {
      for (int64_t c = 0; c < p.classes; ++c) {
        double overlap = 0, all = 0;
        for (int64_t i = n * p.inner; i < (n + 1) * p.inner; ++i) {
          if (v[1][i] == ignore) continue;
          const double t = v[1][i] == static_cast<double>(c) ? 1 : 0;
          overlap += p.probability(i, c) * t;
          all += p.probability(i, c) + t;
        }
        losses[n] += (1 - (2 * overlap + smooth) / (all + smooth)) / static_cast<double>(p.classes);
      }
      total += losses[n];
    }
    if (reduction == LossReduction::none) return losses;
    const double images = static_cast<double>(std::max<int64_t>(losses.numel(), 1));
    return Array({}, {reduction == LossReduction::sum ? total : total / images});
  };
}
OpFunction dice(double smooth, LossReduction reduction, int64_t ignore = -1) {
  return [=](const Tensors& v) {
    return dice_loss(v[0], v[1], {.smooth = smooth, .ignore_label = ignore, .reduction = reduction});
  };
}

// Position by position: does it stay?
Reference naive_ohem(double threshold, size_t min_keep, double ignore) {
  return [=](const Arrays& v) {
    const Positions p(v[0]);
    Array labels = v[1];
    const int64_t images = v[0].size(0);
    for (int64_t n = 0; n < images; ++n) {
      std::vector<double> all;
      for (int64_t i = n * p.inner; i < (n + 1) * p.inner; ++i)
        if (v[1][i] != ignore) all.push_back(p.probability(i, static_cast<int64_t>(v[1][i])));
      std::sort(all.begin(), all.end());
      const double limit = min_keep == 0 ? 0 : all.size() <= min_keep ? 1 : all[min_keep - 1];
      for (int64_t i = n * p.inner; i < (n + 1) * p.inner; ++i)
        if (v[1][i] != ignore && p.probability(i, static_cast<int64_t>(v[1][i])) > std::max(threshold, limit) + 1e-12)
          labels[i] = ignore;
    }
    return labels;
  };
}
OpFunction ohem(double threshold, int64_t min_keep, int64_t ignore) {
  return [=](const Tensors& v) {
    return ohem_labels(v[0], v[1], {.threshold = threshold, .min_keep = min_keep, .ignore_label = ignore});
  };
}

const std::vector<DType> wide = {DType::f64, DType::f32}, narrow = {DType::f16, DType::bf16};
const RowOptions exactly{.dtypes = wide, .slack = 4, .gradient_slack = 4};
const RowOptions in_16_bits{.dtypes = narrow, .result = DType::f32, .slack = 4, .gradient_slack = 4};
constexpr auto none = LossReduction::none, sums = LossReduction::sum, means = LossReduction::mean;

Tensor no_labels(const Shape& shape) { return zeros(shape, {.dtype = DType::i64}); }
Input weights(int64_t classes) { return input({classes}).positive().untracked(); }

}  // namespace

OP_TABLE(losses) {
  const Input scores = input({2, 4, 5}), labels = input({2, 5}).labels(4);
  table.op("nll_loss")
      .row("mean", {scores, labels}, nll(means), naive_nll(means), exactly)
      .row("sum of an image", {input({2, 3, 2, 3}), input({2, 2, 3}).labels(3)}, nll(sums), naive_nll(sums), exactly)
      .row("class weights, ignored label", {scores, labels, weights(4)}, nll(means, 2), naive_nll(means, 2), exactly)
      .row("per position", {scores, labels, weights(4)}, nll(none, 1), naive_nll(none, 1), exactly)
      .row("16-bit", {scores, labels}, nll(means), naive_nll(means), in_16_bits)
      .row("no positions", {input({0, 4}), input({0}).labels(4)}, nll(means), naive_nll(means), exactly)
      .error<ShapeError>("labels", "nll_loss: labels of shape [3] for scores [2, 3] with classes along axis 1; …",
                         [] {
                           nll_loss(ones({2, 3}), no_labels({3}));
                         })
      .error<IndexError>("a label that is no class",
                         "nll_loss: label 3 at flat position 1 is not one of 3 classes; labels are 0 … 2, or the "
                         "ignored -1",
                         [] {
                           nll_loss(ones({2, 3}, {.device = "cpu"}), tensor<int64_t>({0, 3}, "cpu"));
                         });
  table.op("focal_loss")
      .row("mean", {scores, labels}, focal(2, means), naive_focal(2, means), exactly)
      .row("class weights, ignored label", {scores, labels, weights(4)}, focal(1.5, means, 0),
           naive_focal(1.5, means, 0), exactly)
      .row("per position", {scores, labels}, focal(2, none), naive_focal(2, none), exactly)
      .row("gamma 0 is cross entropy", {scores, labels}, focal(0, sums), naive_focal(0, sums), exactly)
      .row("16-bit", {scores, labels}, focal(2, means), naive_focal(2, means), in_16_bits)
      .row("no positions", {input({0, 4}), input({0}).labels(4)}, focal(2, means), naive_focal(2, means), exactly)
      .error<Error>("gamma", "focal_loss: gamma -1 must not be negative", [] {
        focal_loss(ones({2, 3}), no_labels({2}), {.gamma = -1});
      });
  table.op("dice_loss")
      .row("mean", {scores, labels}, dice(1, means), naive_dice(1, means), exactly)
      .row("per image, ignored label", {input({3, 3, 2, 3}), input({3, 2, 3}).labels(3)}, dice(0.1, none, 1),
           naive_dice(0.1, none, 1), exactly)
      .row("rows", {input({3, 4}), input({3}).labels(4)}, dice(1, sums), naive_dice(1, sums), exactly)
      .row("16-bit", {scores, labels}, dice(1, means), naive_dice(1, means), in_16_bits)
      .row("no images", {input({0, 4, 2}), input({0, 2}).labels(4)}, dice(1, means), naive_dice(1, means), exactly)
      .error<Error>("smooth", "dice_loss: smooth 0 must be positive",
                    [] {
                      dice_loss(ones({2, 3}), no_labels({2}), {.smooth = 0});
                    })
      .error<ShapeError>("rank", "dice_loss: expected logits [N, C, d…] with classes, got shape [3]",
                         [] { dice_loss(ones({3}), no_labels({})); });

  const RowOptions chosen{.dtypes = wide, .exact = true, .result = DType::i64, .no_gradient = "labels have none"};
  const Input logits = input({2, 3, 4, 5}).untracked(), marks = input({2, 4, 5}).labels(3);
  table.op("ohem_labels")
      .row("by threshold", {logits, marks}, ohem(0.4, 0, -1), naive_ohem(0.4, 0, -1), chosen)
      .row("at least some", {logits, marks}, ohem(0.05, 6, -1), naive_ohem(0.05, 6, -1), chosen)
      .row("ignored label", {logits, marks}, ohem(0.2, 3, 1), naive_ohem(0.2, 3, 1), chosen)
      .row("more than there are", {logits, marks}, ohem(0.2, 256, 0), naive_ohem(0.2, 256, 0), chosen)
      .row("no images", {input({0, 3, 4}).untracked(), input({0, 4}).labels(3)}, ohem(0.6, 2, -1),
           naive_ohem(0.6, 2, -1), chosen)
      .none(Cell::gradient, "labels have none")
      .none(Cell::second_gradient, "labels have none")
      .error<Error>("threshold", "ohem_labels: threshold 0 must be in (0, 1] and min_keep 256 not negative",
                    [] {
                      ohem_labels(ones({2, 3}), no_labels({2}), {.threshold = 0});
                    })
      .error<Error>("no room", "ohem_labels: labels of uint8 cannot hold the ignored label -2; …", [] {
        ohem_labels(ones({2, 3}), zeros({2}, {.dtype = DType::u8}), {.ignore_label = -2});
      });
}

TEST_CASE("focal_loss: confident wrong logits give a finite loss and gradient") {
  Tensor x = tensor({{300.0f, 0.0f}});
  x.attach_grad();
  Tensor y;
  {
    const autograd::Record record;
    y = focal_loss(x, tensor<int64_t>({1}));
  }
  y.backward();
  CHECK(y.item<float>() == 300);
  CHECK(x.grad().to_vector<float>() == std::vector<float>{1, -1});
}

TEST_CASE("losses: what ignored positions hold does not matter") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Tensor x = tensor({{0.5f, 0.5f}, {nan, nan}});
  const Tensor labels = tensor<int64_t>({1, 0});
  const std::function<Tensor()> losses[] = {
      [&] { return nll_loss(x, labels, {.ignore_label = 0}); },
      [&] { return focal_loss(x, labels, {.ignore_label = 0}); },
      [&] { return focal_loss(x, labels, {.gamma = 0.5, .ignore_label = 0}); },
      [&] { return dice_loss(x, labels, {.ignore_label = 0, .reduction = LossReduction::sum}); },
      [&] { return cross_entropy(x, labels, {.ignore_label = 0, .label_smoothing = 0.1}); },
  };
  for (const auto& loss : losses) {
    x.attach_grad();
    Tensor y;
    {
      const autograd::Record record;
      y = loss();
    }
    CHECK(std::isfinite(y.item<float>()));
    y.backward();
    const std::vector<float> dx = x.grad().to_vector<float>();
    CHECK(dx[1] < 0);
    CHECK(dx[2] == 0);
    CHECK(dx[3] == 0);
  }
}

TEST_CASE("losses: on CUDA a label that is no class gives NaN") {
  if (!cuda_or_skip()) return;
  const Device device = "cuda:0";
  const Tensor x = zeros({3, 2}, {.device = device}), labels = tensor<int64_t>({0, 2, -1}, device);
  for (const Tensor& y : {nll_loss(x, labels, {.reduction = none}), focal_loss(x, labels, {.reduction = none}),
                          dice_loss(x, labels, {.reduction = none})}) {
    const std::vector<float> losses = y.to_vector<float>();
    CHECK(std::isfinite(losses[0]));
    CHECK(std::isnan(losses[1]));
    CHECK(std::isfinite(losses[2]));
  }
  CHECK(std::isnan(nll_loss(x, labels).item<float>()));
}
