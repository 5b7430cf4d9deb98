// The largest of many numbers and the sum of their exponentials, from one read of them.
#pragma once

#include "weft/cuda/reduce.cuh"
#include "weft/tensor/math.h"

namespace weft::cuda {

/// The largest element so far, and the sum of exp(element - largest).
template <class C>
struct Exponentials {
  C top = Largest<C>::none(), sum = 0;

  __device__ void add(C x) {
    const C factor = x == top ? C(1) : math::exp(x > top ? top - x : x - top);
    sum = x > top ? sum * factor + C(1) : sum + factor;
    top = Largest<C>::merge(top, x);
  }
  /// The sum over groups of lanes, and their largest element. As reduce_lanes.
  __device__ C over_lanes(int lanes, C& largest) const {
    largest = reduce_lanes<Largest<C>>(top, lanes);
    // Lanes past a row's end have none.
    return reduce_lanes<Sum<C>>(sum == C(0) ? C(0) : sum * math::exp(top - largest), lanes);
  }
};

}  // namespace weft::cuda
