// Products against plain loops: vectors, batches, broadcasting, transposed and sliced operands, all dtypes.
#include "weft/tensor/ops/matmul.h"

#include <doctest/doctest.h>

#include <thread>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/matmul.h"
#include "weft/autograd/record.h"
#include "weft/tensor/threads.h"
#include "weft/tensor/tuning.h"

using namespace weft;
using namespace weft::test;

namespace {

Tensor product(const Tensors& v) { return matmul(v[0], v[1]); }

// Offset of matrix `i` of `shape` (leading extents and two of a matrix) in an operand whose leading extents broadcast.
int64_t matrix_at(const Shape& shape, int64_t i, const Shape& operand) {
  int64_t at = 0, step = operand[operand.rank() - 2] * operand.back();
  for (int d = 3; d <= shape.rank(); ++d) {
    const int64_t extent = shape[shape.rank() - d], own = d <= operand.rank() ? operand[operand.rank() - d] : 1;
    if (own != 1) at += i % extent * step;
    step *= own;
    i /= extent;
  }
  return at;
}

Array naive(const Arrays& v) {
  Array a = v[0], b = v[1];
  const bool left_vector = a.shape.rank() == 1, right_vector = b.shape.rank() == 1;
  if (left_vector) a.shape.insert(0, 1);
  if (right_vector) b.shape.insert(1, 1);
  const int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1);
  Shape shape = Dims::filled(std::max(a.shape.rank(), b.shape.rank()), 1);
  for (int d = 3; d <= shape.rank(); ++d) {
    const int64_t left = d <= a.shape.rank() ? a.size(-d) : 1, right = d <= b.shape.rank() ? b.size(-d) : 1;
    shape[shape.rank() - d] = left == 1 ? right : left;
  }
  shape[shape.rank() - 2] = m;
  shape[shape.rank() - 1] = n;
  Array c(shape);
  for (int64_t i = 0; m * n > 0 && i < c.numel() / (m * n); ++i) {
    const int64_t left = matrix_at(shape, i, a.shape), right = matrix_at(shape, i, b.shape);
    for (int64_t row = 0; row < m; ++row)
      for (int64_t column = 0; column < n; ++column)
        for (int64_t p = 0; p < k; ++p)
          c[(i * m + row) * n + column] += a[left + row * k + p] * b[right + p * n + column];
  }
  if (right_vector) c.shape.erase(c.shape.rank() - 1);
  if (left_vector) c.shape.erase(c.shape.rank() - (right_vector ? 1 : 2));
  return c;
}

Input whole(const Shape& shape) { return input(shape).integers(-3, 3); }

}  // namespace

OP_TABLE(matmul) {
  table.op("matmul")
      .row("matrices", {input({5, 7}), input({7, 6})}, product, naive)
      .row("one by one", {input({1, 1}), input({1, 1})}, product, naive)
      .row("row by column", {input({1, 9}), input({9, 1})}, product, naive)
      .row("column by row", {input({4, 1}), input({1, 5})}, product, naive)
      .row("batched", {input({3, 4, 5}), input({3, 5, 2})}, product, naive)
      .row("one matrix for all on the right", {input({2, 3, 4, 5}), input({5, 6})}, product, naive)
      .row("one matrix for all on the left", {input({3, 5}), input({2, 2, 5, 4})}, product, naive)
      .row("one row for each of a batch", {input({6, 1, 5}), input({5, 3})}, product, naive)
      .row("batches broadcast", {input({2, 1, 3, 4}), input({3, 4, 2})}, product, naive)
      .row("batches broadcast both ways", {input({2, 1, 2, 3}), input({1, 3, 3, 2})}, product, naive)
      .row("vectors", {input({6}), input({6})}, product, naive)
      .row("matrix by vector", {input({4, 6}), input({6})}, product, naive)
      .row("vector by matrix", {input({6}), input({6, 4})}, product, naive)
      .row("batch by vector", {input({2, 4, 3}), input({3})}, product, naive)
      .row("vector by batch", {input({3}), input({2, 3, 4})}, product, naive)
      .row(
          "both transposed", {input({5, 3}), input({4, 5})},
          [](const Tensors& v) { return matmul(v[0].transpose(), v[1].transpose()); },
          [](const Arrays& v) {
            Array c({v[0].size(1), v[1].size(0)});
            for (int64_t i = 0; i < c.size(0); ++i)
              for (int64_t j = 0; j < c.size(1); ++j)
                for (int64_t p = 0; p < v[0].size(0); ++p) c(i, j) += v[0](p, i) * v[1](j, p);
            return c;
          })
      .row("whole numbers", {whole({17, 40}), whole({40, 19})}, product, naive, {.exact = true})
      .row("whole numbers, batched", {whole({3, 9, 33}), whole({3, 33, 20})}, product, naive,
           {.dtypes = {DType::f64, DType::f32}, .exact = true})
      .row("no rows", {input({0, 4}), input({4, 3})}, product, naive)
      .row("no columns", {input({2, 4}), input({4, 0})}, product, naive)
      .row("nothing to add up", {input({2, 0}), input({0, 3})}, product, naive)
      .row("no matrices", {input({0, 2, 3}), input({3, 4})}, product, naive)
      .error<ShapeError>("inner sizes", "matmul: inner sizes differ, [8, 3] x [4, 5]",
                         [] {
                           matmul(ones({8, 3}), ones({4, 5}));
                         })
      .error<ShapeError>("inner sizes of a vector", "matmul: inner sizes differ, [3] x [4, 5]",
                         [] {
                           matmul(ones({3}), ones({4, 5}));
                         })
      .error<ShapeError>("batches", "matmul: batches do not broadcast, [2, 3, 4] x [5, 4, 3] (2 against 5)",
                         [] {
                           matmul(ones({2, 3, 4}), ones({5, 4, 3}));
                         })
      .error<ShapeError>("a scalar",
                         "matmul: needs at least one dimension, got [] x [2, 2]; multiply by a scalar with *",
                         [] {
                           matmul(ones({}), ones({2, 2}));
                         })
      .error<DtypeError>("integers", "matmul: needs a floating dtype, got int64; convert with .to(DType::f32)",
                         [] {
                           matmul(ones({2, 2}, {.dtype = DType::i64}), ones({2, 2}, {.dtype = DType::i64}));
                         })
      .error<DtypeError>("two dtypes", "matmul: dtypes float32 and float64 differ; convert one with .to(dtype)",
                         [] {
                           matmul(ones({2, 2}), ones({2, 2}, {.dtype = DType::f64}));
                         })
      .error<DeviceError>("two devices", "matmul: operands on cpu:0 and cpu:1; move one with .to(cpu:0)", [] {
        matmul(ones({2, 2}), ones({2, 2}, {.device = "cpu:1"}));
      });
}

namespace {

struct ThreadsGuard {
  explicit ThreadsGuard(int threads) { set_num_threads(threads); }
  ~ThreadsGuard() { set_num_threads(previous); }
  int previous = num_threads();
};

Tensor whole_numbers(const Shape& shape, uint64_t seed, DType dtype) {
  return make_tensor(make_values(whole(shape), seed), dtype);
}

// Sizes on both sides of every limit: Eigen's, sgemm's, and beyond.
struct Size {
  int64_t batch, m, n, k;
};
constexpr Size sizes[] = {{1, 3, 4, 5},    {1, 16, 16, 16}, {1, 17, 16, 16},  {1, 64, 64, 64},   {1, 65, 66, 67},
                          {1, 1, 300, 90}, {1, 300, 1, 90}, {1, 130, 40, 1},  {5, 12, 13, 14},   {5, 40, 30, 20},
                          {3, 70, 80, 90}, {1, 200, 60, 9}, {2, 140, 11, 33}, {1, 10, 1100, 12}, {64, 3, 3, 3}};

}  // namespace

TEST_CASE("matmul: every size and any number of threads give the sums of the loops") {
  for (const Size& s : sizes) {
    for (const DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
      const Tensor a = whole_numbers({s.batch, s.m, s.k}, 1, DType::f32);
      const Tensor b = whole_numbers({s.batch, s.k, s.n}, 2, DType::f32);
      // f16 and bf16 round the exact sum once.
      const Array exact = rounded(naive({to_array(a), to_array(b)}), dtype);
      for (const int threads : {1, 2, 3}) {
        const ThreadsGuard guard(threads);
        INFO(s.batch, " x ", s.m, " x ", s.n, " x ", s.k, ", ", name_of(dtype), ", threads ", threads);
        CHECK(difference(to_array(matmul(a.to(dtype), b.to(dtype))), exact, {}) == "");
      }
    }
  }
}

TEST_CASE("matmul: transposed views and slices are read where they lie") {
  const Tensor a = whole_numbers({70, 90}, 3, DType::f32), b = whole_numbers({90, 80}, 4, DType::f32);
  const Tensor c = matmul(a, b);
  const Tensor turned_a = a.transpose().contiguous().transpose(), turned_b = b.transpose().contiguous().transpose();
  const int64_t before = memory_stats(a.device()).allocations;
  const Tensor d = matmul(turned_a, turned_b);
  const int64_t own = memory_stats(a.device()).allocations - before;
  CHECK(difference(to_array(d), to_array(c), {}) == "");
  const int64_t again = memory_stats(a.device()).allocations;
  matmul(a, b);
  CHECK(own == memory_stats(a.device()).allocations - again);
  const Tensor part = matmul(a.slice(1, 10, 60), b.slice(0, 10, 60).slice(1, 5, 45));
  CHECK(difference(to_array(part), naive({to_array(a.slice(1, 10, 60)), to_array(b.slice(0, 10, 60).slice(1, 5, 45))}),
                   {}) == "");
}

TEST_CASE("matmul: the gradient of a transposed view lies as that view") {
  Tensor w = ones({6, 5}).attach_grad();
  Tensor y;
  {
    const autograd::Record record;
    y = matmul(ones({3, 5}), w.transpose());
  }
  y.backward({.head_grads = {ones({3, 6})}});
  CHECK(w.grad().is_contiguous());
  CHECK(difference(to_array(w.grad()), Array({6, 5}, 3), {}) == "");
}

TEST_CASE("matmul: several threads share the library") {
  const Tensor a = whole_numbers({70, 80}, 5, DType::f32), b = whole_numbers({80, 90}, 6, DType::f32);
  const Array exact = naive({to_array(a), to_array(b)});
  std::vector<std::string> faults(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < faults.size(); ++i)
    threads.emplace_back([&, i] {
      const ThreadsGuard guard(static_cast<int>(i % 2) + 1);
      for (int turn = 0; turn < 5; ++turn) faults[i] += difference(to_array(matmul(a, b)), exact, {});
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& fault : faults) CHECK(fault == "");
}

TEST_CASE("matmul: TF32 is off until it is allowed") {
  CHECK(!allow_tf32());
  set_allow_tf32(true);
  CHECK(allow_tf32());
  set_allow_tf32(false);
  CHECK(!allow_tf32());
}
