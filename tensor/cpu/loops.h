// Loops of CPU kernels: how work is spread over the cores of a device. Everything here has internal linkage or is
// always inlined, because kernel files are compiled once per instruction set and must share no function.
#pragma once

#include <cstdint>

#include "weft/tensor/cpu/threads.h"
#include "weft/tensor/dtype.h"

namespace weft {
namespace {

template <class T>
WEFT_INLINE T smaller(T a, T b) {
  return b < a ? b : a;
}
template <class T>
WEFT_INLINE T larger(T a, T b) {
  return a < b ? b : a;
}

/// Calls body(begin, end) over [0, n) on the team of this thread, in one piece each; inline when the pieces would be
/// smaller than `grain`. A region costs about 2 us, so `grain` is the number of iterations worth some 10 us. Results
/// must not depend on where the pieces are cut: reductions split their work in fixed chunks of their own.
template <class Body>
WEFT_INLINE void parallel_for(int64_t n, [[maybe_unused]] int64_t grain, const Body& body) {
#ifdef _OPENMP
  const int64_t most = grain > 0 ? n / grain : n;
  const int64_t team = cpu::team_size();
  const int64_t pieces = smaller(team, most);
  if (pieces > 1) {
#pragma omp parallel for schedule(static, 1) num_threads(static_cast <int>(pieces))
    for (int64_t i = 0; i < pieces; ++i) body(n * i / pieces, n * (i + 1) / pieces);
    return;
  }
#endif
  if (n > 0) body(int64_t{0}, n);
}

}  // namespace
}  // namespace weft
