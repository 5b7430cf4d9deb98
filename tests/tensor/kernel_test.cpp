// Kernels: every one is plugged for the CPU, and for CUDA where that backend is linked; a hole says what it is.
#include <doctest/doctest.h>

#include <cstring>
#include <set>
#include <string>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/tensor/backend.h"
#include "weft/tensor/kernel.h"

using namespace weft;
using namespace weft::test;

namespace {

struct NoArgs {};
// Like those of operations, but in no list: the walk below must not find it.
constinit Kernel<NoArgs> lonely_kernel{"lonely_kernel"};

void on_cpu(const NoArgs&, Stream) {}

}  // namespace

TEST_CASE("kernel: every slot is filled") {
  detail::ensure_loaded();
  const bool cuda = cuda_or_skip();
  int count = 0;
  std::set<std::string> names;
  for (KernelBase* kernel = detail::all_kernels(); kernel; kernel = kernel->next, ++count) {
    const std::string name = kernel->name;
    CAPTURE(name);
    CHECK(kernel->has(DeviceType::cpu));
    if (cuda) CHECK(kernel->has(DeviceType::cuda));
    CHECK(name.ends_with("_kernel"));
    CHECK(names.insert(name).second);
  }
  CHECK(count > 10);
  CHECK(names.count("softmax_kernel") == 1);
}

TEST_CASE("kernel: a missing function names operation and device") {
  CHECK(throws<DeviceError>("lonely: no cuda kernel; move the operands to another device",
                            [] { lonely_kernel({}, Stream{"cuda:0"}); }) == "");
  CHECK(throws<DeviceError>("lonely: no cpu kernel; …", [] { lonely_kernel({}, Stream{"cpu:0"}); }) == "");
  lonely_kernel.plug(DeviceType::cpu, on_cpu);
  CHECK(lonely_kernel.has(DeviceType::cpu));
  CHECK_NOTHROW(lonely_kernel({}, Stream{"cpu:0"}));
  CHECK(throws<DeviceError>("lonely: no cuda kernel; …", [] { lonely_kernel({}, Stream{"cuda:0"}); }) == "");
}
