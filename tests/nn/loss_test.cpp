// Losses: how parts add up over splits, extremes, errors. Values and gradients against PyTorch are in tests/golden.
#include "weft/nn/loss.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/array.h"
#include "weft/autograd/record_scope.h"
#include "weft/nn/segmentation_loss.h"
#include "weft/tensor/operators.h"

using namespace weft;
using namespace weft::nn;

namespace {

Tensor values(const Shape& shape, DType dtype, uint64_t seed) {
  return test::make_tensor(test::make_values(test::input(shape), seed), dtype, current_device());
}
Tensor labels(const Shape& shape, int classes, uint64_t seed) {
  const Tensor some = test::make_tensor(test::make_values(test::input(shape).labels(classes), seed), DType::i64);
  return some.to(current_device()) - 1;  // -1: ignored
}

// Sums and weights of parts of a batch add up to those of the whole.
template <class Loss>
void check_adds_up(const Loss& loss, const Tensor& x, const Tensor& t) {
  const LossParts whole = loss.parts(x, t);
  double sum = 0, weight = 0;
  for (const auto& [from, to] : {std::pair<int64_t, int64_t>{0, 1}, {1, 1}, {1, 4}, {4, 7}}) {
    const LossParts part = loss.parts(x.slice(0, from, to), t.slice(0, from, to));
    CHECK(part.sum.shape() == Shape{});
    CHECK(part.weight.shape() == Shape{});
    sum += part.sum.template item<double>(), weight += part.weight.template item<double>();
  }
  CHECK(sum == doctest::Approx(whole.sum.item<double>()).epsilon(1e-12));
  CHECK(weight == whole.weight.item<double>());
  CHECK(whole.mean().item<double>() == doctest::Approx(sum / weight).epsilon(1e-12));
}

}  // namespace

TEST_SUITE("nn/loss") {
  TEST_CASE("losses of the parts of a batch add up, empty parts included") {
    const Tensor x = values({7, 4, 3, 5}, DType::f64, 1), t = labels({7, 3, 5}, 5, 2);
    check_adds_up(SoftmaxCrossEntropyLoss({.label_smoothing = 0.3}), x, t);
    check_adds_up(NLLLoss({.weights = tensor({1.f, 2.f, 0.5f, 4.f})}), x, t);
    check_adds_up(FocalLoss(), x, t);
    check_adds_up(DiceLoss(), x, t);
    check_adds_up(OHEMLoss({.threshold = 0.2, .min_keep = 6}), x, t);
    const Tensor a = values({7, 6}, DType::f64, 3), b = values({7, 6}, DType::f64, 4);
    check_adds_up(L1Loss(), a, b);
    check_adds_up(SmoothL1Loss(0.5), a, b);
    check_adds_up(MSELoss(), a, b);
    check_adds_up(BCEWithLogitsLoss(), a, b);
    check_adds_up(KLDivLoss(), a, b);
  }

  TEST_CASE("focal with gamma 0 and OHEM that keeps all are cross entropy") {
    const Tensor x = values({2, 3, 9}, DType::f64, 5), t = labels({2, 9}, 4, 6);
    const double expected = SoftmaxCrossEntropyLoss()(x, t).item<double>();
    CHECK(FocalLoss({.gamma = 0})(x, t).item<double>() == doctest::Approx(expected).epsilon(1e-12));
    CHECK(OHEMLoss({.threshold = 1})(x, t).item<double>() == doctest::Approx(expected).epsilon(1e-12));
    CHECK(OHEMLoss({.threshold = 0.001, .min_keep = 9})(x, t).item<double>() ==
          doctest::Approx(expected).epsilon(1e-12));
    CHECK(OHEMLoss({.threshold = 1e-9, .min_keep = 0})(x, t).item<double>() == 0);
  }

  TEST_CASE("OHEM: ties with the last pixel kept are kept; ignored pixels do not fill the quota") {
    const Tensor x = zeros({1, 2, 5}), t = tensor(std::vector<int64_t>{0, -1, 1, 1, -1}, {1, 5});
    const LossParts parts = OHEMLoss({.threshold = 0.1, .min_keep = 2}).parts(x, t);
    CHECK(parts.weight.item<float>() == 3);
    CHECK(parts.sum.item<float>() == doctest::Approx(3 * std::log(2.0)));
  }

  TEST_CASE("everything ignored: 0, and gradients of 0") {
    Tensor x = values({2, 3, 4}, DType::f32, 7);
    x.attach_grad();
    const Tensor t = full({2, 4}, -1, {.dtype = DType::i64});
    const auto check = [&](const auto& loss, bool is_zero) {
      Tensor y;
      {
        const autograd::Record record;
        y = loss(x, t);
      }
      y.backward();
      if (is_zero) CHECK(y.item<float>() == 0);
      for (const float g : x.grad().to_vector<float>()) CHECK(g == 0);
    };
    check(SoftmaxCrossEntropyLoss({.label_smoothing = 0.1}), true);
    check(NLLLoss(), true);
    check(FocalLoss(), true);
    check(OHEMLoss(), true);
    check(DiceLoss(), true);  // smooth / smooth for every class
  }

  TEST_CASE("confident and wrong: finite values and gradients") {
    const auto check = [](const auto& loss, const Tensor& input, const Tensor& target, double expected) {
      Tensor x = input;
      x.attach_grad();
      Tensor y;
      {
        const autograd::Record record;
        y = loss(x, target);
      }
      y.backward();
      CHECK(y.item<float>() == doctest::Approx(expected));
      for (const float g : x.grad().to_vector<float>()) CHECK(std::isfinite(g));
    };
    const Tensor logits = tensor({{100.f, -21.f}}), label = tensor<int64_t>({1});
    check(FocalLoss(), logits, label, 121);
    check(SoftmaxCrossEntropyLoss({.label_smoothing = 0.5}), logits, label, 60.5 + 0.25 * 121);
    check(OHEMLoss(), logits, label, 121);
    check(BCEWithLogitsLoss(), tensor({200.f, -300.f}), tensor({0.f, 1.f}), 250);
    check(DiceLoss({.smooth = 0.5}), logits, label, 1 - 0.5 / 1.5);
  }

  TEST_CASE("16-bit inputs are summed in float32") {
    const Tensor x = values({4, 300}, DType::f16, 8), t = values({4, 300}, DType::f16, 9);
    CHECK(L1Loss()(x, t).dtype() == DType::f32);
    CHECK(L1Loss()(x, t).item<float>() == L1Loss()(x.to(DType::f32), t.to(DType::f32)).item<float>());
    CHECK(FocalLoss()(x, zeros({4}, {.dtype = DType::i64})).dtype() == DType::f32);
  }

  TEST_CASE("labels out of range, shapes and options that do not fit") {
    const Tensor x = zeros({2, 3}), bad = tensor<int64_t>({0, 3});
    const auto refuses = [&](const auto& loss) {
      if (x.device().is_cpu())
        CHECK_THROWS_AS(loss(x, bad), IndexError);
      else
        CHECK(std::isnan(loss(x, bad).template item<float>()));
    };
    refuses(NLLLoss()), refuses(FocalLoss()), refuses(DiceLoss());
    CHECK_THROWS_AS((OHEMLoss()(x, bad), synchronize(x.device())), IndexError);
    CHECK_THROWS_AS(NLLLoss()(x, tensor<int64_t>({0})), ShapeError);
    CHECK_THROWS_AS(NLLLoss()(x, tensor({0.f, 1.f})), DtypeError);
    CHECK_THROWS_AS(NLLLoss({.weights = ones({2})})(x, tensor<int64_t>({0, 1})), ShapeError);
    CHECK_THROWS_WITH_AS(L1Loss()(x, zeros({3, 2})), "L1Loss: prediction [2, 3], target [3, 2]", ShapeError);
    CHECK_THROWS_AS(BCEWithLogitsLoss()(x, zeros({2})), ShapeError);
    CHECK_THROWS_AS(SmoothL1Loss(0), Error);
    CHECK_THROWS_AS(FocalLoss({.gamma = 0.5}), Error);
    CHECK_THROWS_AS(DiceLoss({.smooth = 0}), Error);
    CHECK_THROWS_AS(OHEMLoss({.threshold = 0}), Error);
    CHECK_THROWS_AS(SoftmaxCrossEntropyLoss({.label_smoothing = 1}), Error);
  }
}
