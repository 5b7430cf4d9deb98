#include <algorithm>

#include "weft/tensor/cpu/eigen.h"
#include "weft/tensor/cpu/eigen_maps.h"
#include "weft/tensor/cpu/loops.h"

namespace weft::cpu {

namespace {

// C is made in blocks of this size, the same for any number of threads: Eigen's order of summation may depend on the
// extents it sees.
constexpr int64_t block_rows = 128, block_columns = 1024;
template <class T, class A, class B>
void multiply(const MatmulArgs& p, const A& a_of, const B& b_of) {
  const int64_t down = (p.m + block_rows - 1) / block_rows, right = (p.n + block_columns - 1) / block_columns;
  const int64_t work = std::min(p.m, block_rows) * std::min(p.n, block_columns) * p.k;
  parallel_for(p.batch * down * right, std::max<int64_t>(1, eigen::grain / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t batch = i / (down * right), row = i / right % down * block_rows, column = i % right * block_columns;
      const int64_t rows = std::min(block_rows, p.m - row), columns = std::min(block_columns, p.n - column);
      eigen::Matrix<T> c(static_cast<T*>(p.c) + (batch * p.m + row) * p.n + column, rows, columns, eigen::Stride(p.n));
      c.noalias() = a_of(batch).middleRows(row, rows) * b_of(batch).middleCols(column, columns);
    }
  });
}

template <class T, class A>
void with_right(const MatmulArgs& p, const A& a_of) {
  const T* b = static_cast<const T*>(p.b);
  if (p.b_transposed)
    multiply<T>(p, a_of, [&](int64_t i) {
      return eigen::Transposed<const T>(b + i * p.b_batch, p.k, p.n, eigen::Stride(p.b_row));
    });
  else
    multiply<T>(p, a_of,
                [&](int64_t i) { return eigen::Matrix<const T>(b + i * p.b_batch, p.k, p.n, eigen::Stride(p.b_row)); });
}

template <class T>
void matmul(const MatmulArgs& p) {
  const T* a = static_cast<const T*>(p.a);
  if (p.a_transposed)
    with_right<T>(
        p, [&](int64_t i) { return eigen::Transposed<const T>(a + i * p.a_batch, p.m, p.k, eigen::Stride(p.a_row)); });
  else
    with_right<T>(
        p, [&](int64_t i) { return eigen::Matrix<const T>(a + i * p.a_batch, p.m, p.k, eigen::Stride(p.a_row)); });
}

}  // namespace

void eigen_matmul(const MatmulArgs& args) { args.dtype == DType::f64 ? matmul<double>(args) : matmul<float>(args); }

}  // namespace weft::cpu
