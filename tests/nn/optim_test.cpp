// Optimizers against their formulas in double, step by step.
#include <doctest/doctest.h>

#include <cmath>

#include "weft/nn/optim/optimizer.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::nn::optim;

namespace {

constexpr int64_t n = 37;

double gradient_at(int step, int64_t i) { return std::sin(0.7 * step + 0.3 * static_cast<double>(i)); }

// 20 steps of `optimizer` on an f64 vector that starts at 0.1 i.
std::vector<double> run(const Optimizer& optimizer, double scale = 1, double lr_mult = 1, double wd_mult = 1) {
  const Tensor value = arange(0, n, 1, {.dtype = DType::f64}) * 0.1;
  std::vector<Tensor> state = optimizer.make_state(value);
  for (int step = 1; step <= 20; ++step) {
    std::vector<double> g(n);
    for (int64_t i = 0; i < n; ++i) g[static_cast<size_t>(i)] = gradient_at(step, i) / scale;
    const Update update{value, tensor(g, {n}), state, lr_mult, wd_mult};
    optimizer.apply(std::span(&update, 1), step, scale);
  }
  return value.to_vector<double>();
}

template <class F>
void check_against(const std::vector<double>& found, const F& expected_of) {
  for (int64_t i = 0; i < n; ++i)
    CHECK(found[static_cast<size_t>(i)] == doctest::Approx(expected_of(i)).epsilon(1e-12));
}

}  // namespace

TEST_SUITE("nn/optim") {
  TEST_CASE("SGD with momentum, Nesterov, decay and multipliers") {
    for (const bool nesterov : {false, true}) {
      const double lr = 0.05 * 2, momentum = 0.9, decay = 0.01 * 3;
      const auto found =
          run(SGD({.lr = 0.05, .momentum = momentum, .weight_decay = 0.01, .nesterov = nesterov}), 0.5, 2, 3);
      check_against(found, [&](int64_t i) {
        double w = 0.1 * static_cast<double>(i), m = 0;
        for (int step = 1; step <= 20; ++step) {
          const double d = gradient_at(step, i) + decay * w;
          m = momentum * m + d;
          w -= lr * (nesterov ? d + momentum * m : m);
        }
        return w;
      });
    }
  }

  TEST_CASE("Adam and AdamW") {
    for (const bool decoupled : {false, true}) {
      const AdamOptions options{.lr = 0.02, .weight_decay = 0.1};
      const auto found = decoupled ? run(AdamW(options)) : run(Adam(options));
      check_against(found, [&](int64_t i) {
        double w = 0.1 * static_cast<double>(i), m = 0, v = 0;
        for (int step = 1; step <= 20; ++step) {
          if (decoupled) w *= 1 - 0.02 * 0.1;
          const double d = gradient_at(step, i) + (decoupled ? 0 : 0.1 * w);
          m = 0.9 * m + 0.1 * d;
          v = 0.999 * v + 0.001 * d * d;
          w -= 0.02 * m / (1 - std::pow(0.9, step)) / (std::sqrt(v / (1 - std::pow(0.999, step))) + 1e-8);
        }
        return w;
      });
    }
  }

  TEST_CASE("many tensors in one call, whatever their layout") {
    const SGD sgd({.lr = 1});
    Tensors values, gradients;
    std::vector<Update> updates;
    for (int k = 0; k < 70; ++k) {
      values.push_back(ones({2, 3, 1, k % 5}).contiguous(k % 2 ? Layout::channels_last : Layout::row_major));
      gradients.push_back(dense_gradient(full({2, 3, 1, k % 5}, k), values.back()));
    }
    for (size_t k = 0; k < values.size(); ++k) updates.push_back({values[k], gradients[k], {}});
    sgd.apply(updates, 1, 1);
    for (int k = 0; k < 70; ++k)
      for (const float w : values[static_cast<size_t>(k)].to_vector<float>()) CHECK(w == 1.f - static_cast<float>(k));
  }

  TEST_CASE("an update is an in-place change") {
    const Tensor value = ones({3});
    const uint32_t before = value.storage().version();
    const Update update{value, ones({3}), {}};
    SGD({.lr = 1}).apply(std::span(&update, 1), 1, 1);
    CHECK(value.storage().version() == before + 1);
  }

  TEST_CASE("options out of range") {
    CHECK_THROWS_WITH(SGD({.lr = -1}), "SGD: lr is -1");
    CHECK_THROWS_AS(SGD({.nesterov = true}), Error);
    CHECK_THROWS_AS(Adam({.beta1 = 1}), Error);
    CHECK_THROWS_AS(SGD({}).make_state(zeros({2}, {.dtype = DType::f16})), DtypeError);
  }
}
