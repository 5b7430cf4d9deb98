// Batch norm whose statistics are those of all ranks' shares: its gradients against differences, over uneven shares.
// Values, running statistics and training: data_parallel_test.cpp, equality_test.cpp.
#include "weft/nn/sync_batch_norm.h"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/parallel/ranks.h"
#include "weft/autograd/gradcheck.h"
#include "weft/parallel/collectives.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

// x [N, 2], gamma and beta [2], a residual like x: y of all ranks, joined.
Tensor normalized(const Tensors& in, const std::vector<Device>& devices, const std::vector<int64_t>& sizes,
                  const BatchNormOptions& options, bool with_residual) {
  const auto x = scatter(in[0], devices, sizes), residual = scatter(in[3], devices, sizes);
  const auto gamma = broadcast(in[1], devices), beta = broadcast(in[2], devices);
  const PerDevice<Tensor> y =
      on_ranks(devices, Tensors(x.begin(), x.end()), [&](int rank, const Tensor& share) -> Tensor {
        if (with_residual)
          return nn::sync_batch_norm_add(share, residual[rank], gamma[rank], beta[rank], {}, {}, options);
        return nn::sync_batch_norm(share, gamma[rank], beta[rank], {}, {}, options) + residual[rank] * residual[rank];
      });
  return gather(y, in[0].device());
}

}  // namespace

TEST_SUITE("parallel/sync_batch_norm") {
  TEST_CASE("first and second gradients, over uneven shares") {
    const auto f64 = [](const Shape& shape) { return randn(shape, {.dtype = DType::f64}); };
    for (const DeviceType type : kinds())
      for (const bool with_residual : {false, true})
        for (const bool relu : {false, true})
          for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{3, 1, 2}, {2, 1}}) {
            if (type == DeviceType::cuda && simulated() && (sizes.size() == 3 || !relu)) continue;  // see below
            const int64_t n = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
            CAPTURE(to_string(Device(type, 0)));
            CAPTURE(with_residual);
            CAPTURE(relu);
            const auto devices = devices_of(type, static_cast<int>(sizes.size()));
            const auto f = [&](const Tensors& in) {
              return normalized(in, devices, sizes, {.relu = relu}, with_residual);
            };
            seed(4);  // no value within a difference of the ReLU's kink
            const Tensors inputs{f64({n, 2}), f64({2}), f64({2}), f64({n, 2})};
            const auto first = autograd::gradcheck(f, inputs);
            CHECK_MESSAGE(first.ok, first.text);
            const auto second = autograd::gradgradcheck(f, inputs);
            CHECK_MESSAGE(second.ok, second.text);
          }
    if (simulated()) MESSAGE("simulated devices: two ranks and a ReLU; all forms take minutes there");
  }
}
