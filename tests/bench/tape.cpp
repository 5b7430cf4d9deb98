// What an operation costs beside its arithmetic: small tensors with and without the tape, and one large addition.
#include "tests/bench/support/bench.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::bench;

namespace {

// Forward and backward of a chain of 100 operations on 4 elements, per operation.
double chain() {
  const Tensor x = tensor({1.f, 2.f, 3.f, 4.f}).attach_grad();
  const Tensor one = tensor({1.f, 1.f, 1.f, 1.f});
  return time([&] {
           Tensor y = x;
           {
             const autograd::Record record;
             for (int i = 0; i < 100; ++i) y = add(y, one);
           }
           y.backward();
         }) /
         100;
}

// What a Profile adds to an operation while it records; one for every 10,000 of them.
double profiled_add(const Tensor& a, const Tensor& b, bool memory) {
  constexpr int operations = 10'000;
  std::vector<double> times;
  for (int round = 0; round < 21; ++round) {
    const Profile profile({.limit = 3 * operations, .memory = memory});
    times.push_back(seconds([&] {
                      for (int i = 0; i < operations; ++i) add(a, b);
                    }) /
                    operations);
  }
  return median(times);
}

// The whole addition, into fresh memory of the pool on both sides.
Comparison large_add(int64_t n) {
  const Tensor a = ones({n}), b = ones({n});
  std::vector<float> va(static_cast<size_t>(n), 1.f), vb(static_cast<size_t>(n), 1.f), vc(static_cast<size_t>(n));
  return interleave([&] { add(a, b); },
                    [&] {
                      const float* pa = va.data();
                      const float* pb = vb.data();
                      float* pc = vc.data();
#ifdef _OPENMP
#pragma omp parallel for
#endif
                      for (int64_t i = 0; i < n; ++i) pc[i] = pa[i] + pb[i];
                    },
                    9, 0.05);
}

}  // namespace

int main() {
  heading("what", "weft", "plain loop");
  const Tensor a = tensor({1.f, 2.f, 3.f, 4.f}), b = tensor({5.f, 6.f, 7.f, 8.f});
  row("add of 4 elements", time([&] { add(a, b); }), "<= 100 ns, aim at 60");
  const Tensor w = tensor({1.f, 2.f, 3.f, 4.f}).attach_grad();
  row("add of 4 elements, recorded", time([&] {
        const autograd::Record record;
        add(w, b);
      }),
      "<= 200 ns, aim at 120");
  row("add of 4 elements, profiled", profiled_add(a, b, false), "");
  row("add of 4 elements, profiled with its memory", profiled_add(a, b, true), "");
  row("chain of 100 adds, forward + backward, per operation", chain(), "<= 500 ns");
  row("add of 16 M elements", large_add(int64_t{1} << 24), "<= 1.05");
}
