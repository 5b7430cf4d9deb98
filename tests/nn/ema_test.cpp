#include "weft/nn/ema.h"

#include <doctest/doctest.h>

#include "tests/support/hooks.h"
#include "weft/nn/batch_norm.h"
#include "weft/nn/linear.h"
#include "weft/tensor/operators.h"

using namespace weft;

namespace {

struct Net : nn::Module {
  nn::Linear fc{2, 1};
  nn::BatchNorm2d norm{2};
  WEFT_MEMBERS(fc, norm)
};

std::vector<float> values(const nn::Placed& p, int place = 0) { return p.at(place).to_vector<float>(); }

}  // namespace

TEST_SUITE("nn/ema") {
  TEST_CASE("averages by the formula; buffers are taken over") {
    for (const Device device : test::devices_to_test()) {
      Net net;
      net.to(device);
      net.fc.weight.set(full({1, 2}, 8));
      nn::Ema ema(net, {.decay = 0.75, .ramp = false});
      net.fc.weight.set(full({1, 2}, 16));
      net.norm.running_mean.set(full({2}, 3));
      ema.update();  // 0.75 * 8 + 0.25 * 16
      ema.update();  // 0.75 * 10 + 0.25 * 16
      CHECK(ema.updates() == 2);
      {
        const auto scope = ema.averaged();
        CHECK(values(net.fc.weight) == std::vector<float>{11.5, 11.5});
        CHECK(values(net.norm.running_mean) == std::vector<float>{3, 3});
        CHECK_THROWS_AS(ema.update(), Error);
        CHECK_THROWS_AS(ema.state(), Error);
      }
      CHECK(values(net.fc.weight) == std::vector<float>{16, 16});
      ema.update();
      ema.swap();
      CHECK(values(net.fc.weight) == std::vector<float>{12.625, 12.625});
      ema.swap();
    }
  }

  TEST_CASE("the ramp forgets the start") {
    Net net;
    net.fc.bias.set(zeros({1}));
    nn::Ema ema(net, {.decay = 0.5});
    net.fc.bias.set(ones({1}));
    double expected = 0;
    for (int n = 0; n < 12; ++n) {
      ema.update();
      const double d = std::min(0.5, (1.0 + n) / (10 + n));
      expected = d * expected + 1 - d;
    }
    const auto scope = ema.averaged();
    CHECK(values(net.fc.bias)[0] == doctest::Approx(expected));
  }

  TEST_CASE("all copies are exchanged, on any devices") {
    Net net;
    net.fc.bias.set(full({1}, 2));
    nn::Ema ema(net, {.decay = 0, .ramp = false});
    net.to({"cpu:1", "cpu:2"});
    net.fc.bias.set(full({1}, 5));
    ema.update();
    net.fc.bias.set(full({1}, 7));
    const auto scope = ema.averaged();
    for (int i = 0; i < 2; ++i) CHECK(values(net.fc.bias, i) == std::vector<float>{5});
  }

  TEST_CASE("state is saved and loaded whole or not at all") {
    Net net;
    nn::Ema ema(net, {.decay = 0.5});
    for (int i = 0; i < 3; ++i) {
      net.fc.weight.set(full({1, 2}, i));
      ema.update();
    }
    auto state = ema.state();
    nn::Ema other(net);
    other.load_state(state);
    CHECK(other.updates() == 3);
    for (size_t i = 0; i < state.size(); ++i)
      CHECK(other.state()[i].second.to_vector<float>() == state[i].second.to_vector<float>());
    state.erase(state.begin() + 1);
    state.back().second = zeros({5});
    nn::Ema third(net);
    const auto before = third.state();
    CHECK_THROWS_WITH_AS(third.load_state(state),
                         "Ema: the state does not fit: fc.weight is missing. norm.running_var has shape [5], not [2]. "
                         "Nothing was changed",
                         CheckpointError);
    CHECK(third.updates() == 0);
    CHECK(third.state()[1].second.to_vector<float>() == before[1].second.to_vector<float>());
    CHECK_THROWS_AS(nn::Ema(net, {.decay = 1}), Error);
  }
}
