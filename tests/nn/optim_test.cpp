// Optimizers against their formulas in double, step by step.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/hooks.h"
#include "weft/nn/optim/clip.h"
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
      const auto found =
          decoupled ? run(AdamW({.lr = 0.02, .weight_decay = 0.1})) : run(Adam({.lr = 0.02, .weight_decay = 0.1}));
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

  TEST_CASE("what is not said is as PyTorch has it") {
    CHECK(SGD().learning_rate() == 0.01);
    CHECK(Adam().learning_rate() == 1e-3);
    CHECK(RMSprop().learning_rate() == 0.01);
    CHECK(run(AdamW()) == run(AdamW({.lr = 1e-3, .weight_decay = 0.01})));
    CHECK(run(AdamW()) != run(AdamW({.weight_decay = 0})));
  }

  TEST_CASE("RMSprop") {
    for (const bool centered : {false, true})
      for (const double momentum : {0.0, 0.7}) {
        const auto found = run(RMSprop({.lr = 0.02, .weight_decay = 0.1, .momentum = momentum, .centered = centered}));
        check_against(found, [&](int64_t i) {
          double w = 0.1 * static_cast<double>(i), square = 0, mean = 0, m = 0;
          for (int step = 1; step <= 20; ++step) {
            const double d = gradient_at(step, i) + 0.1 * w;
            square = 0.99 * square + 0.01 * d * d;
            mean = 0.99 * mean + 0.01 * d;
            const double e = d / (std::sqrt(centered ? square - mean * mean : square) + 1e-8);
            m = momentum * m + e;
            w -= 0.02 * (momentum > 0 ? m : e);
          }
          return w;
        });
      }
    CHECK(RMSprop().state_names() == std::vector<std::string>{"square"});
    CHECK(RMSprop({.momentum = 0.5, .centered = true}).state_names() ==
          std::vector<std::string>{"square", "mean", "momentum"});
  }

  TEST_CASE("decay of a group replaces the optimizer's; vectors are trained without") {
    const Tensor value = full({2}, 8);
    const Update update{value, zeros({2}), {}, 1, 0.5, 0.25};
    SGD({.lr = 1, .weight_decay = 0.5}).apply(std::span(&update, 1), 1, 1);
    CHECK(value.to_vector<float>() == std::vector<float>{7, 7});
    const nn::Parameter weight{ones({2, 3})}, bias{ones({3})}, scale{ones({})};
    const std::vector<ParameterGroup> groups = no_decay_for_vectors({weight, bias, scale});
    REQUIRE(groups.size() == 2);
    CHECK(groups[0].parameters.size() == 1);
    CHECK(groups[0].wd_mult == 1);
    CHECK(groups[1].parameters[1].same(scale));
    CHECK(groups[1].wd_mult == 0);
  }

  TEST_CASE("clipping by norm: of all gradients together, on every copy") {
    const nn::Parameter a{zeros({2})}, b{zeros({3, 1})}, unused{zeros({2})};
    const std::vector<nn::Parameter> all{a, b, unused};
    const Device places[] = {"cpu:0", "cpu:1"};
    for (const nn::Parameter& p : all) p.to(places);
    for (const Device device : places) {
      Tensor loss;
      {
        const autograd::Record record;
        loss = a.on(device).sum() * 2 + b.on(device).sum() * 4;
      }
      loss.backward();
    }
    const double norm = std::sqrt(2 * 4. + 3 * 16);
    CHECK(grad_norm(all) == doctest::Approx(norm).epsilon(1e-14));
    CHECK(clip_grad_norm(all, 100) == doctest::Approx(norm));
    CHECK(b.grad_at(1).to_vector<float>() == std::vector<float>{4, 4, 4});
    CHECK(clip_grad_norm(all, 2) == doctest::Approx(norm));
    for (int i = 0; i < 2; ++i) {
      CHECK(a.grad_at(i).to_vector<float>()[1] == doctest::Approx(2 * 2 / (norm + 1e-6)));
      CHECK(b.grad_at(i).to_vector<float>()[2] == doctest::Approx(4 * 2 / (norm + 1e-6)));
    }
    clip_grad_value(all, 0.75);
    CHECK(a.grad_at(1).to_vector<float>()[0] == doctest::Approx(4 / norm));
    CHECK(b.grad_at(1).to_vector<float>() == std::vector<float>{0.75, 0.75, 0.75});
    a.grad_at(0).fill_(-2);
    clip_grad_value(all, 0.75);
    CHECK(a.grad_at(0).to_vector<float>()[1] == -0.75);
    for (const Device device : test::devices_to_test()) {
      const nn::Parameter c{zeros({40, 300}, {.device = device})};
      Tensor loss;
      {
        const autograd::Record record;
        loss = c.on(device).sum();
      }
      loss.backward();
      CHECK(clip_grad_norm(std::span(&c, 1), 1) == doctest::Approx(std::sqrt(12000.0)).epsilon(1e-14));
      CHECK(grad_norm(std::span(&c, 1)) == doctest::Approx(1).epsilon(1e-6));
    }
    a.grad_at(0).fill_(std::nan(""));
    CHECK_THROWS_AS(clip_grad_norm(all, 1), Error);
    CHECK(b.grad_at(0).to_vector<float>() == std::vector<float>{0.75, 0.75, 0.75});
    CHECK_THROWS_WITH(clip_grad_value(all, 0), "clip_grad_value: the limit is 0; it must be positive");
    CHECK(grad_norm(std::span(&unused, 1)) == 0);
  }

  TEST_CASE("clipping that fails on one device leaves no gradient, so that copies cannot differ") {
    for (const bool by_norm : {true, false}) {
      const nn::Parameter a{zeros({2})};
      const Device places[] = {"cpu:0", "cpu:1"};
      a.to(places);
      for (int i = 0; i < 2; ++i) autograd::leaf_of(a.at(i))->set_grad(full({2}, 3, {.device = places[i]}));
      // Elements that share memory cannot be written.
      autograd::leaf_of(a.at(1))->set_grad(full({1}, 3, {.device = places[1]}).expand({2}));
      const auto clip = [&] {
        by_norm ? void(clip_grad_norm(std::span(&a, 1), 1)) : clip_grad_value(std::span(&a, 1), 1);
      };
      CHECK_THROWS_AS(clip(), ShapeError);
      for (int i = 0; i < 2; ++i) {
        CHECK_FALSE(a.grad_at(i).defined());
        CHECK(autograd::leaf_of(a.at(i))->stale());
      }
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
    CHECK_THROWS_WITH(RMSprop({.alpha = 1}), "RMSprop: alpha is 1");
    CHECK_THROWS_AS(SGD().make_state(zeros({2}, {.dtype = DType::f16})), DtypeError);
  }
}
