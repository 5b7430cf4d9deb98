#include "tests/support/golden.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/support/hooks.h"
#include "tests/support/paths.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/device.h"

using namespace weft;
using namespace weft::test;

void Golden::compare(const std::string& what, const Tensor& got, double widening) const {
  Tolerance t = dtype_ == DType::f64 ? Tolerance{2e-7, 1e-7} : tolerance_of(dtype_);  // stored as float32
  t.relative *= widening, t.absolute *= widening;
  const std::string problem = got.defined() ? difference(to_array(got), array(what), t) : "undefined";
  CHECK_MESSAGE(problem.empty(), name_, "/", what, ", ", to_string(dtype_), " on ", to_string(device_), ": ", problem);
}

namespace {

Tensors leaves_of(Tensors& x) {
  Tensors leaves;
  for (Tensor& t : x)
    if (is_floating(t.dtype())) leaves.push_back(t.attach_grad());
  return leaves;
}

void run(const Golden& golden, const Function& function) {
  Tensors x = golden.tensors("x");
  const Tensors leaves = leaves_of(x);
  Tensor dy = golden.tensor("dy");
  const bool second = golden.has("u0");
  if (second) dy.attach_grad();
  const autograd::Record record;
  const Tensor y = function(x, golden);
  golden.compare("y", y);
  const Tensors dx = autograd::grad({y}, leaves, {.head_grads = {dy}, .create_graph = second});
  for (size_t i = 0; i < dx.size(); ++i) golden.compare("dx" + std::to_string(i), dx[i], 4);
  if (!second) return;
  Tensors heads, us, variables = leaves;
  variables.push_back(dy);
  const Tensors u = golden.tensors("u");
  for (size_t i = 0; i < dx.size(); ++i)
    if (dx[i].requires_grad()) heads.push_back(dx[i]), us.push_back(u[i]);
  Tensors dd = autograd::grad(heads, variables, {.head_grads = us, .allow_unused = true});
  for (size_t i = 0; i < dd.size(); ++i)
    golden.compare("dd" + std::to_string(i), dd[i].defined() ? dd[i] : zeros_like(variables[i]), 8);
}

}  // namespace

void test::check_file(const std::string& op, const Functions& functions) {
  const auto file = read_npz(source_path("tests/golden/" + op + ".npz"));
  std::set<std::string> names;
  for (const auto& [name, array] : file) names.insert(name.substr(0, name.find('/')));
  for (const std::string& name : names)
    CHECK_MESSAGE(functions.count(name) == 1, op, ".npz: no function for case ", name);
  for (const auto& [name, function] : functions) {
    REQUIRE_MESSAGE(names.count(name) == 1, op, ".npz: no case ", name);
    for (const Device device : devices_to_test())
      for (const DType dtype : {DType::f64, DType::f32}) {
        const DeviceGuard guard(device);
        run(Golden(file, name, dtype, device), function);
      }
  }
}
