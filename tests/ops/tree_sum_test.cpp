// Sums by a tree: values in every dtype, and bits, which are those of additions of two.
#include "weft/tensor/ops/tree_sum.h"

#include <doctest/doctest.h>

#include <cstring>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/random.h"
#include "weft/tensor/threads.h"

using namespace weft;
using namespace weft::test;

namespace {

Tensor sum(const Tensors& x) {
  Tensors detached;
  for (const Tensor& t : x) detached.push_back(t.detach());
  return ops::tree_sum(detached, x[0].device());
}
Array naive(const Arrays& x) {
  Array y = x[0];
  for (size_t k = 1; k < x.size(); ++k) y = zip(y, x[k], [](double a, double b) { return a + b; });
  return y;
}

std::vector<Input> terms(size_t n, const Input& one) { return std::vector<Input>(n, one.untracked()); }

const RowOptions counted{.dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32, DType::u8},
                         .exact = true,
                         .no_gradient = "collectives record it"};
const RowOptions fractions{.slack = 2, .no_gradient = "collectives record it"};

Tensor by_two(std::span<const Tensor> x) {
  if (x.size() == 1) return x[0];
  size_t half = 1;
  while (half * 2 < x.size()) half *= 2;
  return ops::add(by_two(x.first(half)), by_two(x.subspan(half)));
}

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to("cpu"), y = b.to("cpu");
  return x.shape() == y.shape() && x.dtype() == y.dtype() && x.strides() == y.strides() &&
         std::memcmp(x.raw(), y.raw(), static_cast<size_t>(x.numel() * size_of(x.dtype()))) == 0;
}

// n of them, each starting some elements into memory of its own.
Tensors random_terms(int n, int64_t numel, DType dtype, Device device, int64_t start) {
  Tensors x;
  for (int k = 0; k < n; ++k) {
    const int64_t gap = start * k, end = numel + gap;
    const Tensor whole = uniform({end}, dtype == DType::u8 ? 0 : -100, 100, {.device = "cpu"});
    x.push_back(whole.to(dtype).to(device).slice(0, gap, end));
  }
  return x;
}

}  // namespace

OP_TABLE(tree_sum) {
  Op& op = table.op("tree_sum");
  for (size_t n = 1; n <= 17; ++n)
    op.row("of " + std::to_string(n), terms(n, input({3, 25}).integers()), sum, naive, counted);
  op.row("of 40", terms(40, input({2, 9}).integers(-2, 2)), sum, naive, counted)
      .row("fractions", terms(5, input({2, 3, 4, 50}).positive()), sum, naive, fractions)
      .row("rank 0", terms(3, input({})), sum, naive, fractions)
      .row("no elements", terms(3, input({0, 4})), sum, naive, counted)
      .none(Cell::gradient, "collectives record it")
      .none(Cell::second_gradient, "collectives record it")
      .error<Error>("terms", "tree_sum: no terms", [] { ops::tree_sum({}, "cpu"); })
      .error<ShapeError>("shapes", "tree_sum: shapes [2] and [1, 2] differ",
                         [] {
                           ops::tree_sum(Tensors{ones({2}), ones({1, 2})}, "cpu");
                         })
      .error<DtypeError>("dtypes", "tree_sum: dtypes float32 and int64 differ",
                         [] {
                           ops::tree_sum(Tensors{ones({2}), ones({2}, {.dtype = DType::i64})}, "cpu");
                         })
      .error<Error>("outputs", "tree_sum: no outputs", [] { ops::tree_sum_into({}, Tensors{ones({2})}); })
      .error<ShapeError>("output", "tree_sum: the output is float32[3], the terms are float32[2]",
                         [] { ops::tree_sum_into(Tensors{ones({3})}, Tensors{ones({2})}); })
      .error<ShapeError>("gaps", "tree_sum: outputs have gaps or differ in strides", [] {
        ops::tree_sum_into(Tensors{ones({2, 2}).slice(1, 0, 1)}, Tensors{ones({2, 1})});
      });
}

TEST_CASE("tree_sum: the bits of additions of two, of any number of terms, in every dtype, aligned or not") {
  for (const Device device : devices_to_test())
    for (const DType dtype : all_dtypes)
      for (const int n : {1, 2, 3, 5, 7, 8, 11, 16, 17, 40})
        for (const int64_t start : {0, 1}) {
          const Tensors x = random_terms(n, 331, dtype, device, start);
          CAPTURE(name_of(dtype));
          CAPTURE(n);
          CHECK(same_bits(ops::tree_sum(x, device), by_two(x)));
        }
}

TEST_CASE("tree_sum: of long tensors, the same bits on any number of threads") {
  const Tensors x = random_terms(3, 100'001, DType::f32, "cpu", 0);
  const int before = num_threads();
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    CHECK(same_bits(ops::tree_sum(x, "cpu"), by_two(x)));
  }
  set_num_threads(before);
}

TEST_CASE("tree_sum: bools are or") {
  for (const Device device : devices_to_test()) {
    const Tensors x{tensor({0.f, 1.f, 0.f, 1.f}, device).to(DType::boolean),
                    tensor({0.f, 0.f, 1.f, 1.f}, device).to(DType::boolean)};
    CHECK(to_array(ops::tree_sum(x, device)).values == std::vector<double>{0, 1, 1, 1});
  }
}

TEST_CASE("tree_sum: terms of several devices and layouts; several outputs on CPU devices") {
  const Tensor x = randn({6, 5}), turned = randn({5, 6}).transpose().to("cpu:1");
  const Tensors terms{x, turned, x};
  const Tensor y = ops::tree_sum(terms, "cpu:2");
  CHECK(y.device() == Device("cpu:2"));
  CHECK(same_bits(y, ops::add(ops::add(x, turned.to("cpu")), x)));
  const Tensors into{empty({6, 5}), empty({6, 5}, {.device = "cpu:1"}), empty({6, 5}, {.device = "cpu:2"})};
  ops::tree_sum_into(into, terms);
  for (const Tensor& t : into) CHECK(same_bits(t, y));
  for (const Device device : devices_to_test()) {
    CHECK(same_bits(ops::tree_sum(terms, device), y));
    if (device.is_cpu()) continue;
    const Tensors two{empty({2}, {.device = device}), empty({2}, {.device = device})};
    CHECK(throws<Error>("tree_sum: 2 outputs on " + to_string(device),
                        [&] { ops::tree_sum_into(two, Tensors{two[0]}); }) == "");
  }
}
