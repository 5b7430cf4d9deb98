// Operators: comparisons and what works in place are the functions of their names, with numbers on either side.
#include "weft/tensor/operators.h"

#include <doctest/doctest.h>

#include <sstream>

#include "tests/support/hooks.h"
#include "tests/support/text_of.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/record_scope.h"

using namespace weft;
using namespace weft::test;

using Bools = std::vector<int>;
using Floats = std::vector<float>;

TEST_SUITE("autograd/operators") {
  TEST_CASE("comparisons, element by element") {
    for (const Device device : devices_to_test()) {
      const Tensor a = tensor({1.f, 2.f, 3.f}, device), b = tensor({3.f, 2.f, 1.f}, device);
      CHECK((a == b).dtype() == DType::boolean);
      CHECK((a == b).to_vector<int>() == Bools{0, 1, 0});
      CHECK((a != b).to_vector<int>() == Bools{1, 0, 1});
      CHECK((a < b).to_vector<int>() == Bools{1, 0, 0});
      CHECK((a <= b).to_vector<int>() == Bools{1, 1, 0});
      CHECK((a > b).to_vector<int>() == Bools{0, 0, 1});
      CHECK((a >= b).to_vector<int>() == Bools{0, 1, 1});
      CHECK((a == 2).to_vector<int>() == Bools{0, 1, 0});
      CHECK((a != 2).to_vector<int>() == Bools{1, 0, 1});
      CHECK((a < 2).to_vector<int>() == Bools{1, 0, 0});
      CHECK((2 < a).to_vector<int>() == Bools{0, 0, 1});
      CHECK((2.5 >= a).to_vector<int>() == Bools{1, 1, 0});
      CHECK((2 <= a).to_vector<int>() == Bools{0, 1, 1});
      CHECK((2 > a).to_vector<int>() == Bools{1, 0, 0});
      CHECK((2 == a).to_vector<int>() == Bools{0, 1, 0});
      CHECK((2 != a).to_vector<int>() == Bools{1, 0, 1});
    }
  }

  TEST_CASE("in place: whoever shares the storage sees it") {
    for (const Device device : devices_to_test()) {
      Tensor x = tensor({1.f, 2.f}, device);
      const Tensor shared = x;
      x += tensor({10.f, 20.f}, device);
      CHECK(shared.to_vector<float>() == Floats{11, 22});
      x -= tensor({1.f, 2.f}, device);
      x *= tensor({2.f, 3.f}, device);
      CHECK(shared.to_vector<float>() == Floats{20, 60});
      x /= tensor({4.f, 6.f}, device);
      x += 1;
      x -= 0.5;
      CHECK(shared.to_vector<float>() == Floats{5.5, 10.5});
      x *= 4;
      x /= 2;
      CHECK(shared.to_vector<float>() == Floats{11, 21});
      CHECK(x.same(shared));
    }
  }

  TEST_CASE("in place is refused on what the tape holds") {
    Tensor x = ones({2}).attach_grad();
    const autograd::Record record;
    Tensor y = x * 2;
    CHECK_THROWS_AS(y += x, AutogradError);
    CHECK_THROWS_AS(x *= 2, AutogradError);
    y = y + x;
    sum(y).backward();
    CHECK(x.grad().to_vector<float>() == Floats{3, 3});
  }

  TEST_CASE("shapes, dtypes and devices go to a stream") {
    std::ostringstream out;
    out << Shape{2, 3} << ' ' << DType::bf16 << ' ' << Device("cuda:1");
    CHECK(out.str() == "[2, 3] bfloat16 cuda:1");
  }
}
