// Linear interpolation by numbers and by tensors.
#include "weft/autograd/ops/lerp.h"

#include <doctest/doctest.h>

#include "tests/support/op_table.h"

using namespace weft;
using namespace weft::test;

namespace {

Array naive(const Arrays& v) {
  const Array d = zip(v[1], v[0], [](double b, double a) { return b - a; });
  return zip(v[0], zip(d, v[2], [](double x, double w) { return x * w; }), [](double a, double x) { return a + x; });
}
Tensor by_tensor(const Tensors& v) { return lerp(v[0], v[1], v[2]); }
OpFunction by_number(double weight) {
  return [weight](const Tensors& v) { return lerp(v[0], v[1], weight); };
}
Reference naive_by(double weight) {
  return [weight](const Arrays& v) { return naive({v[0], v[1], Array({}, weight)}); };
}

}  // namespace

OP_TABLE(lerp) {
  table.op("lerp")
      .row("near the start", {input({3, 4, 5}), input({3, 4, 5})}, by_number(0.25), naive_by(0.25))
      .row("near the end", {input({3, 4, 5}), input({4, 1})}, by_number(0.75), naive_by(0.75))
      .row("beyond", {input({6, 7}), input({7})}, by_number(1.5), naive_by(1.5))
      .row("weights", {input({3, 4, 5}), input({3, 4, 5}), input({3, 4, 5}).range(0, 1)}, by_tensor, naive)
      .row("everything broadcasts", {input({4, 1}), input({3, 1, 1}), input({7}).range(0, 1)}, by_tensor, naive)
      .row("rank 0", {input({}), input({}), input({}).range(0, 1)}, by_tensor, naive)
      .row("no elements", {input({0, 3}), input({3}), input({1})}, by_tensor, naive)
      .error<DtypeError>("integers", "lerp: needs a floating dtype, got int64; …",
                         [] { lerp(ones({2}), ones({2}, {.dtype = DType::i64}), 0.5); })
      .error<ShapeError>("shapes", "sub: shapes [3] and [2] do not broadcast …",
                         [] { lerp(ones({2}), ones({3}), 0.5); });
}

TEST_CASE("lerp: exact at both ends") {
  const Tensor a = tensor({1e8f, 0.1f, -3.0f}), b = tensor({1.0f, 0.7f, 1e-9f});
  CHECK(lerp(a, b, 0).to_vector<float>() == a.to_vector<float>());
  CHECK(lerp(a, b, 1).to_vector<float>() == b.to_vector<float>());
  CHECK(lerp(a, b, ones({3})).to_vector<float>() == b.to_vector<float>());
  CHECK(lerp(a, b, zeros({1})).to_vector<float>() == a.to_vector<float>());
}
