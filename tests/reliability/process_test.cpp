// What a process may do to weft at its end: rows 19 and 83 of the faults it survives.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "tests/support/child.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;

namespace {

// Destroyed after main(), in whatever order the linker chose: pools, backends and the tape must still answer.
Tensor global_tensor, global_graph;
std::vector<Tensor>& function_static() {
  static std::vector<Tensor> tensors;
  return tensors;
}

void fill_globals() {
  const Tensor x = ones({1000}).attach_grad();
  const autograd::Record record;
  global_tensor = ones({5});
  global_graph = (x * x).sum();
  for (int i = 0; i < 4; ++i) function_static().push_back(ones({10, 100}, {.device = Device(DeviceType::cpu, i)}));
  for (const Device device : available_devices()) function_static().push_back(full({300}, 1, {.device = device}));
}

}  // namespace

CHILD(static_tensors) { fill_globals(); }
CHILD(exit_inside_a_scope) {
  fill_globals();
  const autograd::Record record;
  const DeviceGuard device("cpu:3");
  const Tensor x = ones({1000}).attach_grad();
  global_graph = x * x;
  std::exit(0);
}
CHILD(thread_local_tensors) {
  std::thread([] {
    static thread_local Tensor mine;
    mine = ones({1000});
    Tensor small = ones({2});
    function_static().push_back(small);
  }).join();
  static thread_local Tensor last;
  last = ones({3});
}
CHILD(exit_in_a_thread) {
  fill_globals();
  std::thread([] {
    const Tensor x = ones({100});
    std::exit(0);
  }).join();
}
CHILD(detached_thread_at_work) {
  std::thread([] {
    for (;;) ones({64}).sum().item<float>();
  }).detach();
  ones({64}).sum().item<float>();
  std::fflush(stdout);
  std::_Exit(0);
}

TEST_CASE("process: tensors and graphs that outlive main()") {
  for (const char* name : {"static_tensors", "exit_inside_a_scope", "thread_local_tensors", "exit_in_a_thread",
                           "detached_thread_at_work"}) {
    const ChildResult result = run_child(name);
    CAPTURE(name);
    CHECK_MESSAGE(result.status == 0, result.output);
    CHECK(result.output.empty());
  }
}
