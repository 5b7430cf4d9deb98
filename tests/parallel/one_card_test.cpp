// Several ranks on one device, which is all that a machine with one GPU has: the same device listed twice and four
// times, shares, and two runs compared bit by bit. Prints what was compared.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tests/parallel/devices.h"
#include "weft/autograd/record.h"
#include "weft/nn/crc32.h"
#include "weft/nn/nn.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/operators.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

struct Net : nn::Module {
  nn::Conv2d stem{3, 8, {.kernel = 3, .padding = 1}};
  nn::BatchNorm2d norm{8, {.relu = true, .sync = true}};
  nn::Conv2d body{8, 16, {.kernel = 3, .stride = 2, .padding = 1}};
  nn::BatchNorm2d norm2{16, {.relu = true, .sync = true}};
  nn::Dropout drop{0.25};
  nn::Conv2d head{16, 5, {.kernel = 1}};
  WEFT_MEMBERS(stem, norm, body, norm2, drop, head)
  Tensor forward(const Tensor& x) const {
    const Tensor y = head(drop(norm2(body(norm(stem(x))))));
    return resize(y, {x.shape()[2], x.shape()[3]});
  }
};

// Losses, then parameters and running statistics of every rank, of a few steps of training.
std::vector<float> train(const std::vector<Device>& devices, DataParallelOptions options) {
  options.allow_duplicates = true;
  seed(11);
  Net net;
  const DataParallelModel model(net, devices, options);
  const DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), devices, options);
  Trainer trainer(net.parameters(), nn::optim::SGD({.lr = 0.03, .momentum = 0.9}));
  std::vector<float> result;
  const int steps = natively_or(devices[0].type, 20, 3);
  const int64_t size = natively_or(devices[0].type, 16, 6);
  for (int step = 0; step < steps; ++step) {
    const Tensor image = randn({7, 3, size, size}), labels = uniform({7, size, size}, 0, 5).to(DType::i64);
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      losses = criterion(model(image), labels);
    }
    parallel_backward(losses);
    trainer.step();
    result.push_back(static_cast<float>(total(losses)));
  }
  const auto keep = [&result](const Tensor& value) {
    const std::vector<float> values = value.to_vector<float>();
    result.insert(result.end(), values.begin(), values.end());
  };
  for (const nn::Parameter& p : net.parameters()) keep(p.at(0));
  for (const nn::Buffer& b : net.buffers()) keep(b.at(0));
  return result;
}

double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double most = a.size() == b.size() ? 0 : 1e9;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    most = std::max(most, std::fabs(double{a[i]} - double{b[i]}));
  return most;
}

std::string to_string(const std::vector<Device>& devices) {
  std::string text;
  for (const Device device : devices) text += " " + weft::to_string(device);
  return text;
}

}  // namespace

TEST_SUITE("parallel/one_card") {
  TEST_CASE("one device listed twice trains as if listed once; with 4 shares to the same bits") {
    for (const DeviceType type : kinds()) {
      const Device device(type, 0);
      const std::vector<float> once = train({device}, {}), shares = train({device}, {.shares = 4});
      CHECK(difference(shares, once) < 1e-3);
      for (const size_t times : {size_t{2}, size_t{4}}) {
        const std::vector<Device> devices(times, device);
        const double apart = difference(train(devices, {}), once);
        CHECK(apart < 1e-3);
        const bool same = train(devices, {.shares = 4}) == shares;
        CHECK(same);
        std::printf("one card: {%s }, allow_duplicates: %.1e from one rank; shares = 4: %s\n",
                    to_string(devices).c_str(), apart, same ? "the same bits" : "OTHER BITS");
      }
    }
  }

  TEST_CASE("two runs of a training: the same bits") {
    for (const DeviceType type : kinds())
      for (const size_t times : {size_t{1}, size_t{2}}) {
        const std::vector<Device> devices(times, Device(type, 0));
        const std::vector<float> first = train(devices, {}), second = train(devices, {});
        const bool same = first == second;
        CHECK(same);
        std::printf("one card: {%s }, two runs: %s, checksum %08x\n", to_string(devices).c_str(),
                    same ? "the same bits" : "OTHER BITS", nn::crc32c(first.data(), first.size() * sizeof(float)));
      }
  }
}
