// Work on ranks, for the tests of collectives.
#pragma once

#include <functional>

#include "tests/parallel/devices.h"
#include "weft/parallel/apply.h"

namespace weft::test {

inline std::vector<int> first_ranks(int n) {
  std::vector<int> ranks;
  for (int i = 0; i < n; ++i) ranks.push_back(i);
  return ranks;
}

/// Runs f(rank, x_rank) on the workers of n devices; f returns a tensor or undefined.
inline PerDevice<Tensor> on_ranks(const std::vector<Device>& devices, const Tensors& x,
                                  const std::function<Tensor(int, const Tensor&)>& f) {
  const auto workers = parallel::Workers::acquire(devices);
  return parallel::apply_on(*workers, first_ranks(static_cast<int>(devices.size())),
                            [&](size_t i, int rank) { return f(rank, x[i]); });
}

}  // namespace weft::test
