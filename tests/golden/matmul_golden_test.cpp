// Against PyTorch: cases/matmul.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/autograd/ops/matmul.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("golden: matrix products") {
  Functions functions;
  for (const char* name :
       {"plain", "batched", "broadcast", "matrix_vector", "vector_matrix", "vectors", "batch_times_matrix", "wide"})
    functions[name] = binary_case([](auto& a, auto& b) { return matmul(a, b); });
  check_file("matmul", functions);
}
