#include "weft/nn/metrics.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/array.h"
#include "tests/support/hooks.h"
#include "weft/autograd/ops/nll_loss.h"
#include "weft/autograd/ops/ohem.h"
#include "weft/tensor/tensor.h"

using namespace weft;

TEST_SUITE("nn/metrics") {
  TEST_CASE("a matrix counted by hand; ignored pixels; absent classes") {
    const Tensor labels = tensor<int64_t>({0, 0, 0, 1, 1, 255}), predicted = tensor<int32_t>({0, 0, 1, 1, 0, 2});
    nn::SegmentationMetric metric(4, {.ignore_label = 255});
    metric.update(predicted, labels);
    CHECK(metric.count(0, 0) == 2);
    CHECK(metric.count(0, 1) == 1);
    CHECK(metric.count(1, 0) == 1);
    CHECK(metric.count(2, 2) == 0);
    CHECK(metric.pixel_accuracy() == 3.0 / 5);
    CHECK(metric.iou()[0] == 2.0 / 4);
    CHECK(metric.iou()[1] == 1.0 / 3);
    CHECK(std::isnan(metric.iou()[3]));
    CHECK(metric.mean_iou() == doctest::Approx((2.0 / 4 + 1.0 / 3) / 2));
    CHECK(metric.confusion().to_vector<int64_t>()[4] == 1);
    nn::SegmentationMetric zero(4, {.ignore_label = 255, .absent = nn::AbsentClass::zero});
    CHECK(zero.mean_iou() == 0);
    CHECK(zero.pixel_accuracy() == 0);
    zero.update(predicted, labels);
    CHECK(zero.mean_iou() == doctest::Approx((2.0 / 4 + 1.0 / 3) / 4));
  }

  TEST_CASE("scores: equal to naive counts, in any layout, whatever the split") {
    constexpr int64_t n = 5, c = 3, h = 7, w = 6;
    const test::Array scores = test::make_values(test::input({n, c, h, w}), 11);
    const Tensor x = test::make_tensor(scores, DType::f32);
    const Tensor labels = test::make_tensor(test::make_values(test::input({n, h, w}).labels(c), 12), DType::i64);
    std::vector<int64_t> naive(c * c);
    const auto l = labels.to_vector<int64_t>();
    for (int64_t i = 0; i < n; ++i)
      for (int64_t p = 0; p < h * w; ++p) {
        int64_t best = 0;
        const auto score = [&](int64_t k) { return static_cast<float>(scores.values[(i * c + k) * h * w + p]); };
        for (int64_t k = 1; k < c; ++k)
          if (score(k) > score(best)) best = k;
        ++naive[l[i * h * w + p] * c + best];
      }
    for (const Device device : test::devices_to_test()) {
      nn::SegmentationMetric there(c);
      there.update(x.to(device), labels.to(device));
      CHECK(there.confusion().to_vector<int64_t>() == naive);
    }
    nn::SegmentationMetric whole(c), parts(c);
    whole.update(x.contiguous(Layout::channels_last), labels);
    CHECK(whole.confusion().to_vector<int64_t>() == naive);
    for (const auto& [from, to] : {std::pair<int64_t, int64_t>{0, 2}, {2, 5}}) {
      nn::SegmentationMetric part(c);
      part.update(x.slice(0, from, to), labels.slice(0, from, to));
      parts.merge(part);
    }
    CHECK(parts.confusion().to_vector<int64_t>() == naive);
    CHECK(parts.mean_iou() == whole.mean_iou());
    parts.update(x.to("cpu:1"), labels.to("cpu:1"));  // a matrix of its own there
    parts.merge(parts);
    for (int64_t& count : naive) count *= 4;
    CHECK(parts.confusion().to_vector<int64_t>() == naive);
    parts.reset();
    CHECK(parts.pixel_accuracy() == 0);
  }

  TEST_CASE("labels of u8 hold the ignored -1 as 255: metrics and losses") {
    const Tensor wide = tensor<int64_t>({1, -1, 0}), bytes = tensor({uint8_t{1}, uint8_t{255}, uint8_t{0}});
    const Tensor scores = tensor({{0.f, 1.f}, {2.f, 1.f}, {1.f, 3.f}});
    nn::AccuracyMetric a, b;
    a.update(scores, wide);
    b.update(scores, bytes);
    CHECK(a.value() == 0.5);
    CHECK(b.value() == 0.5);
    CHECK(nll_loss(scores, wide).item<float>() == nll_loss(scores, bytes).item<float>());
    CHECK(ohem_labels(scores, bytes, {.threshold = 1}).to_vector<int64_t>() == std::vector<int64_t>{1, 255, 0});
  }

  TEST_CASE("a class out of range: an error, and nothing is counted") {
    nn::SegmentationMetric metric(2);
    CHECK_THROWS_AS(metric.update(tensor<int64_t>({0, 1}), tensor<int64_t>({1, 2})), IndexError);
    CHECK_THROWS_AS(metric.update(tensor<int64_t>({0, 7}), tensor<int64_t>({1, 1})), IndexError);
    CHECK(metric.count(1, 0) == 0);
    CHECK_THROWS_AS(metric.update(tensor({0.f}), tensor<int64_t>({1})), DtypeError);
    CHECK_THROWS_AS(metric.update(zeros({1, 3, 2}), zeros({1, 2}, {.dtype = DType::i64})), ShapeError);
    CHECK_THROWS_AS(metric.update(tensor<int64_t>({0, 0}), tensor<int64_t>({1})), ShapeError);
    CHECK_THROWS_AS(metric.merge(nn::SegmentationMetric(3)), Error);
    CHECK_THROWS_AS(metric.count(2, 0), IndexError);
  }

  TEST_CASE("accuracy of the k largest") {
    const Tensor scores = tensor({{3.f, 2.f, 1.f}, {1.f, 3.f, 3.f}, {0.f, std::nanf(""), 9.f}, {5.f, 1.f, 0.f}});
    const Tensor labels = tensor<int64_t>({1, 2, 2, -1});
    nn::AccuracyMetric first(1), second(2);
    first.update(scores, labels), second.update(scores, labels);
    CHECK(first.correct() == 0);  // a tie goes to the lower class, NaN is wrong
    CHECK(second.correct() == 2);
    CHECK(second.total() == 3);
    second.merge(second);
    CHECK(second.value() == doctest::Approx(2.0 / 3));
    nn::AccuracyMetric pixels;
    pixels.update(tensor(std::vector<float>{1, 4, 3, 2}, {1, 2, 2}), tensor(std::vector<int64_t>{1, 0}, {1, 2}));
    CHECK(pixels.value() == 1);
    CHECK_THROWS_AS(first.update(scores, tensor<int64_t>({3, 0, 0, 0})), IndexError);
    CHECK(first.total() == 3);
    CHECK_THROWS_AS(nn::AccuracyMetric(0), Error);
  }
}
