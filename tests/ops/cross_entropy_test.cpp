// Cross entropy: reductions, ignored labels, class weights, layouts, and the numbers that break other implementations.
#include "weft/autograd/ops/cross_entropy.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/gradcheck.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

struct Settings {
  int axis = 1;
  int64_t ignore_label = -1;
  LossReduction reduction = LossReduction::mean;
  double smoothing = 0;
};

// Inputs: logits, labels, and class weights if there is a third.
OpFunction with(const Settings& s) {
  return [s](const Tensors& v) {
    CrossEntropyOptions options{
        .axis = s.axis, .ignore_label = s.ignore_label, .reduction = s.reduction, .label_smoothing = s.smoothing};
    if (v.size() > 2) options.weights = v[2];
    return cross_entropy(v[0], v[1], options);
  };
}

Reference naive(const Settings& s) {
  return [s](const Arrays& v) {
    const Array &x = v[0], &labels = v[1];
    const int axis = s.axis < 0 ? s.axis + x.shape.rank() : s.axis;
    int64_t inner = 1;
    for (int d = axis + 1; d < x.shape.rank(); ++d) inner *= x.size(d);
    const int64_t classes = x.size(axis);
    Array loss(labels.shape);
    double total = 0, weight = 0;
    for (int64_t i = 0; i < labels.numel(); ++i) {
      const auto label = static_cast<int64_t>(labels[i]);
      if (label == s.ignore_label) continue;
      const auto logit = [&](int64_t c) { return x[(i / inner * classes + c) * inner + i % inner]; };
      double top = logit(0), sum = 0;
      for (int64_t c = 0; c < classes; ++c) top = std::max(top, logit(c));
      for (int64_t c = 0; c < classes; ++c) sum += std::exp(logit(c) - top);
      const double w = v.size() > 2 ? v[2][label] : 1;
      const double log_sum = top + std::log(sum);
      loss[i] = w * (1 - s.smoothing) * (log_sum - logit(label));
      for (int64_t c = 0; c < classes; ++c)
        loss[i] += s.smoothing / static_cast<double>(classes) * (v.size() > 2 ? v[2][c] : 1) * (log_sum - logit(c));
      total += loss[i];
      weight += w;
    }
    if (s.reduction == LossReduction::none) return loss;
    return Array({}, {s.reduction == LossReduction::sum ? total : weight > 0 ? total / weight : 0});
  };
}

const std::vector<DType> wide = {DType::f64, DType::f32}, narrow = {DType::f16, DType::bf16};
Input weights(int64_t classes) { return input({classes}).positive().untracked(); }

}  // namespace

OP_TABLE(cross_entropy) {
  const Settings none{.reduction = LossReduction::none}, sum{.reduction = LossReduction::sum};
  const Settings no_two{.ignore_label = 2}, first{.axis = 0}, last{.axis = -1, .reduction = LossReduction::none};
  table.op("cross_entropy")
      .row("rows", {input({4, 5}), input({4}).labels(5)}, with({}), naive({}), {.dtypes = wide})
      .row("rows of 21", {input({6, 21}), input({6}).labels(21)}, with({}), naive({}), {.dtypes = wide})
      .row("image", {input({2, 21, 3, 4}), input({2, 3, 4}).labels(21)}, with({}), naive({}), {.dtypes = wide})
      .row("two classes", {input({2, 2, 3, 3}), input({2, 3, 3}).labels(2)}, with({}), naive({}), {.dtypes = wide})
      .row("more columns than a tile", {input({2, 3, 150}), input({2, 150}).labels(3)}, with({}), naive({}),
           {.dtypes = wide})
      .row("many classes of many columns", {input({40, 33}), input({33}).labels(40)}, with(first), naive(first),
           {.dtypes = wide})
      .row("classes first", {input({5, 4}), input({4}).labels(5)}, with(first), naive(first), {.dtypes = wide})
      .row("classes last", {input({2, 3, 21}), input({2, 3}).labels(21)}, with(last), naive(last), {.dtypes = wide})
      .row("a row of more than one block", {input({1, 2051}), input({1}).labels(2051)}, with({}), naive({}),
           {.dtypes = wide, .no_second_gradient = "as in the other rows, and slow"})
      .row("loss per position", {input({2, 5, 7}), input({2, 7}).labels(5)}, with(none), naive(none), {.dtypes = wide})
      .row("sum", {input({2, 5, 7}), input({2, 7}).labels(5)}, with(sum), naive(sum), {.dtypes = wide})
      .row("ignored label", {input({3, 4, 6}), input({3, 6}).labels(4)}, with(no_two), naive(no_two), {.dtypes = wide})
      .row("ignored label, per position", {input({30, 9}), input({30}).labels(9)},
           with({.ignore_label = 2, .reduction = none.reduction}),
           naive({.ignore_label = 2, .reduction = none.reduction}), {.dtypes = wide})
      .row("class weights", {input({3, 4, 6}), input({3, 6}).labels(4), weights(4)}, with(no_two), naive(no_two),
           {.dtypes = wide})
      .row("class weights, rows", {input({9, 21}), input({9}).labels(21), weights(21)}, with({}), naive({}),
           {.dtypes = wide})
      .row("labels of u8", {input({3, 4}), input({3}).values({3, 255, 0}).dtype(DType::u8)},
           with({.ignore_label = 255}), naive({.ignore_label = 255}), {.dtypes = wide})
      .row("labels of u8, -1", {input({3, 4}), input({3}).values({3, 255, 0}).dtype(DType::u8)}, with({}),
           naive({.ignore_label = 255}), {.dtypes = wide})
      .row("labels of i32", {input({3, 4}), input({3}).values({3, -1, 0}).dtype(DType::i32)}, with({}), naive({}),
           {.dtypes = wide})
      .row("all ignored", {input({3, 4}), input({3}).values({7, 7, 7}).dtype(DType::i64)}, with({.ignore_label = 7}),
           naive({.ignore_label = 7}), {.dtypes = wide})
      .row("more than one chunk of positions", {input({1, 2, 1100}), input({1, 1100}).labels(2)}, with({}), naive({}),
           {.dtypes = wide, .no_second_gradient = "as in the other rows, and slow"})
      .row("16-bit rows", {input({6, 21}), input({6}).labels(21)}, with(none), naive(none),
           {.dtypes = narrow, .result = DType::f32})
      .row("16-bit image", {input({2, 5, 3, 7}), input({2, 3, 7}).labels(5)}, with({}), naive({}),
           {.dtypes = narrow, .result = DType::f32})
      .row("no positions", {input({0, 5}), input({0}).labels(5)}, with({}), naive({}), {.dtypes = wide})
      .row("smoothed", {input({2, 5, 7}), input({2, 7}).labels(5)}, with({.smoothing = 0.1}), naive({.smoothing = 0.1}),
           {.dtypes = wide})
      .row("smoothed, class weights, ignored label", {input({3, 4, 6}), input({3, 6}).labels(4), weights(4)},
           with({.ignore_label = 2, .smoothing = 0.3}), naive({.ignore_label = 2, .smoothing = 0.3}), {.dtypes = wide})
      .row("smoothed, per position, classes last", {input({2, 3, 6}), input({2, 3}).labels(6)},
           with({.axis = -1, .reduction = none.reduction, .smoothing = 1}),
           naive({.axis = -1, .reduction = none.reduction, .smoothing = 1}), {.dtypes = wide})
      .row("smoothed, 16-bit", {input({6, 21}), input({6}).labels(21)}, with({.smoothing = 0.1}),
           naive({.smoothing = 0.1}), {.dtypes = narrow, .result = DType::f32})
      .error<Error>("smoothing", "cross_entropy: label smoothing 1.5 must be between 0 and 1",
                    [] {
                      cross_entropy(ones({2, 3}), zeros({2}, {.dtype = DType::i64}), {.label_smoothing = 1.5});
                    })
      .error<ShapeError>(
          "labels",
          "cross_entropy: labels of shape [2, 3] for logits [2, 3] with classes along axis 1; they must have shape [2]",
          [] {
            cross_entropy(ones({2, 3}), zeros({2, 3}, {.dtype = DType::i64}));
          })
      .error<DtypeError>("label type", "cross_entropy: labels are float32; …",
                         [] {
                           cross_entropy(ones({2, 3}), ones({2}));
                         })
      .error<ShapeError>("weights", "cross_entropy: weights of shape [2] for 3 classes; …",
                         [] {
                           cross_entropy(ones({2, 3}), zeros({2}, {.dtype = DType::i64}), {.weights = ones({2})});
                         })
      .error<ShapeError>("no classes", "cross_entropy: logits of shape [2, 0] have no classes", [] {
        cross_entropy(ones({2, 0}), zeros({2}, {.dtype = DType::i64}));
      });
  table.op("cross_entropy_sum")
      .row("sum over weight is the mean", {input({3, 4, 6}), input({3, 6}).labels(4), weights(4)},
           [](const Tensors& v) {
             const CrossEntropySum part = cross_entropy_sum(v[0], v[1], {.ignore_label = 2, .weights = v[2]});
             return part.sum / part.weight;
           },
           naive(no_two), {.dtypes = wide})
      .row("smoothed", {input({3, 4, 6}), input({3, 6}).labels(4), weights(4)},
           [](const Tensors& v) {
             const CrossEntropySum part =
                 cross_entropy_sum(v[0], v[1], {.ignore_label = 2, .weights = v[2], .label_smoothing = 0.2});
             return part.sum / part.weight;
           },
           naive({.ignore_label = 2, .smoothing = 0.2}), {.dtypes = wide})
      .row("no positions", {input({0, 5}), input({0}).labels(5)},
           [](const Tensors& v) { return cross_entropy_sum(v[0], v[1]).sum; }, naive(sum), {.dtypes = wide})
      .error<ShapeError>("labels", "cross_entropy: labels of shape [2, 3] …", [] {
        cross_entropy_sum(ones({2, 3}), zeros({2, 3}, {.dtype = DType::i64}));
      });
}

TEST_CASE("cross_entropy: a label that is no class is an error that says where") {
  Tensor labels = zeros({2, 3, 4}, {.dtype = DType::i64});
  labels.data<int64_t>()[1 * 12 + 2 * 4 + 3] = 21;
  labels.data<int64_t>()[23 - 1] = -2;
  const std::string text =
      "cross_entropy: label -2 at [1, 2, 2] is not one of 21 classes; labels are 0 … 20, or the ignored -1";
  for (const Layout layout : {Layout::row_major, Layout::channels_last})
    CHECK(throws<IndexError>(text, [&] { cross_entropy(ones({2, 21, 3, 4}).contiguous(layout), labels); }) == "");
  labels = tensor({uint8_t{1}, uint8_t{254}});
  CHECK(throws<IndexError>("cross_entropy: label 254 at [1] is not one of 3 classes; …", [&] {
          cross_entropy(ones({2, 3}), labels);
        }) == "");
  labels = tensor({uint8_t{1}, uint8_t{255}});
  CHECK(cross_entropy(zeros({2, 256}), labels).item<float>() == doctest::Approx(std::log(256)));  // 255 is a class
}

TEST_CASE("cross_entropy: confident wrong logits give a finite loss and gradient") {
  for (const int64_t classes : {2, 20}) {
    std::vector<float> values(static_cast<size_t>(classes), -21.0f);
    values[0] = 100;
    Tensor logits = tensor(values, {1, classes});
    logits.attach_grad();
    Tensor loss;
    {
      const autograd::Record record;
      loss = cross_entropy(logits, tensor({int64_t{1}}));
    }
    CHECK(loss.item<float>() == 121.0f);
    loss.backward();
    const std::vector<float> dx = logits.grad().to_vector<float>();
    CHECK(dx[0] == 1.0f);
    CHECK(dx[1] == -1.0f);
  }
}

TEST_CASE("cross_entropy: what ignored positions hold does not matter") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t classes : {3, 17}) {
    for (const LossReduction reduction : {LossReduction::mean, LossReduction::none}) {
      std::vector<float> values(static_cast<size_t>(2 * classes), nan);
      for (int64_t c = 0; c < classes; ++c) values[static_cast<size_t>(c)] = 0;
      Tensor logits = tensor(values, {2, classes});
      logits.attach_grad();
      Tensor loss;
      {
        const autograd::Record record;
        loss = cross_entropy(logits, tensor({int64_t{2}, int64_t{-1}}), {.reduction = reduction});
      }
      const double expected = std::log(static_cast<double>(classes));
      CHECK(loss.to_vector<float>()[0] == doctest::Approx(expected));
      Tensor head = ones_like(loss);
      if (reduction == LossReduction::none) {
        CHECK(loss.to_vector<float>()[1] == 0.0f);
        head = tensor({1.0f, nan});
      }
      autograd::backward({loss}, {.head_grads = {head}});
      const std::vector<float> dx = logits.grad().to_vector<float>();
      for (int64_t c = 0; c < classes; ++c) {
        const double p = 1.0 / static_cast<double>(classes);
        CHECK(dx[static_cast<size_t>(c)] == doctest::Approx(c == 2 ? p - 1 : p));
        CHECK(dx[static_cast<size_t>(classes + c)] == 0.0f);
      }
    }
  }
}

TEST_CASE("cross_entropy: the incoming gradient counts") {
  Tensor logits = randn({4, 5}, {.dtype = DType::f64});
  const Tensor labels = tensor({int64_t{0}, int64_t{4}, int64_t{2}, int64_t{2}});
  const auto gradient = [&](double factor) {
    logits.attach_grad();
    Tensor loss;
    {
      const autograd::Record record;
      loss = cross_entropy(logits, labels) * factor;
    }
    loss.backward();
    return logits.grad().to_vector<double>();
  };
  const std::vector<double> once = gradient(1), thrice = gradient(3);
  for (size_t i = 0; i < once.size(); ++i) CHECK(thrice[i] == doctest::Approx(3 * once[i]));
}

TEST_CASE("cross_entropy: sums and weights of the parts of a batch add up to its mean") {
  Tensor logits = randn({6, 5, 3}, {.dtype = DType::f64});
  std::vector<int64_t> host;
  for (int64_t i = 0; i < 18; ++i) host.push_back(i % 4 == 1 ? -1 : i % 5);
  const Tensor labels = tensor(host, {6, 3});
  const CrossEntropyOptions options{.weights = tensor({1.0, 0.5, 2.0, 0.25, 3.0})};
  double sum = 0, weight = 0;
  for (const auto& [from, to] : {std::pair{0, 1}, std::pair{1, 4}, std::pair{4, 6}}) {
    const CrossEntropySum part = cross_entropy_sum(logits.slice(0, from, to), labels.slice(0, from, to), options);
    sum += part.sum.item<double>();
    weight += part.weight.item<double>();
  }
  CHECK(sum / weight == doctest::Approx(cross_entropy(logits, labels, options).item<double>()).epsilon(1e-12));

  // The gradient of the sum is that of the mean times the weight.
  logits.attach_grad();
  CrossEntropySum whole;
  {
    const autograd::Record record;
    whole = cross_entropy_sum(logits, labels, options);
  }
  CHECK_FALSE(whole.weight.requires_grad());
  whole.sum.backward();
  const std::vector<double> of_sum = logits.grad().to_vector<double>();
  logits.attach_grad();
  Tensor mean;
  {
    const autograd::Record record;
    mean = cross_entropy(logits, labels, options);
  }
  mean.backward();
  const std::vector<double> of_mean = logits.grad().to_vector<double>();
  for (size_t i = 0; i < of_sum.size(); ++i) CHECK(of_sum[i] == doctest::Approx(of_mean[i] * weight));
}

TEST_CASE("cross_entropy: no gradient by class weights, and no third derivative") {
  Tensor weights = ones({3});
  weights.attach_grad();
  const autograd::Record record;
  CHECK(throws<AutogradError>("cross_entropy: class weights take no gradient; …", [&] {
          cross_entropy(ones({2, 3}), zeros({2}, {.dtype = DType::i64}), {.weights = weights});
        }) == "");
  Tensor x = randn({2, 3}, {.dtype = DType::f64});
  x.attach_grad();
  const Tensor loss = cross_entropy(x, zeros({2}, {.dtype = DType::i64}));
  const Tensors first = autograd::grad({loss}, {x}, {.create_graph = true});
  const Tensors second = autograd::grad({first[0].sum() + (first[0] * first[0]).sum()}, {x}, {.create_graph = true});
  CHECK(throws<AutogradError>("cross_entropy has no third derivative",
                              [&] { autograd::grad({second[0]}, {x}, {.head_grads = {ones_like(x)}}); }) == "");
}

TEST_CASE("cross_entropy: the same bits on any number of threads") {
  for (const Layout layout : {Layout::row_major, Layout::channels_last}) {
    Tensor x = randn({3, 21, 50, 70}).contiguous(layout);
    std::vector<int32_t> host;
    for (int32_t i = 0; i < 3 * 50 * 70; ++i) host.push_back(i % 23 - 1);
    for (int32_t& label : host) label = label > 20 ? -1 : label;
    const Tensor labels = tensor(host, {3, 50, 70});
    const auto run = [&](int threads) {
      const int before = num_threads();
      set_num_threads(threads);
      x.attach_grad();
      Tensor loss;
      {
        const autograd::Record record;
        loss = cross_entropy(x, labels);
      }
      loss.backward();
      set_num_threads(before);
      return std::pair{loss.item<float>(), x.grad().to_vector<float>()};
    };
    const auto one = run(1);
    CHECK(run(2) == one);
    CHECK(run(3) == one);
  }
}
