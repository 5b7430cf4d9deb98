// What softmax and log_softmax share: rows that are normalised by their largest element and the sum of their
// exponentials, and the gradients of those. Rows that lie one after the other and whose length packs divide are read in
// packs. Short rows stay in registers, so that each operand is read once.
#pragma once

#include "weft/cuda/exponentials.cuh"
#include "weft/cuda/row_part.cuh"

namespace weft::cuda {

/// Op: static C kept(C centred) of x - top, Op(C sum) of the sum of exp(x - top), and C operator()(C kept), the result.
template <class Op, int N, class T>
__device__ inline void normalize_row(const Rows& rows, const RowPart<T, N>& part, const T* x, T* y) {
  using C = Compute<T>;
  if (!part.is_held(rows)) {
    Exponentials<C> own;
    const auto load = [&](int64_t c) { return part.load(x, c); };
    part.for_all(load, [&](int64_t, const Pack<T, N>& pack) {
#pragma unroll
      for (int j = 0; j < N; ++j) own.add(C(pack.v[j]));
    });
    C top;
    const Op finish(own.over_lanes(rows.lanes, top));
    part.for_all(load, [&](int64_t c, Pack<T, N> pack) {
#pragma unroll
      for (int j = 0; j < N; ++j) pack.v[j] = T(finish(Op::kept(C(pack.v[j]) - top)));
      part.store(y, c, pack);
    });
    return;
  }
  Pack<C, N> value[RowPart<T, N>::held];
  C top = Largest<C>::none(), sum = 0;
  part.for_held([&](int k, int64_t c) {
    const auto pack = part.load(x, c);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      value[k].v[j] = C(pack.v[j]);
      top = Largest<C>::merge(top, value[k].v[j]);
    }
  });
  top = reduce_lanes<Largest<C>>(top, rows.lanes);
  part.for_held([&](int k, int64_t) {
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const C centred = value[k].v[j] - top;
      sum += math::exp(centred);
      value[k].v[j] = Op::kept(centred);
    }
  });
  const Op finish(reduce_lanes<Sum<C>>(sum, rows.lanes));
  part.for_held([&](int k, int64_t c) {
    Pack<T, N> pack;
#pragma unroll
    for (int j = 0; j < N; ++j) pack.v[j] = T(finish(value[k].v[j]));
    part.store(y, c, pack);
  });
}

/// Op: static C term(C dy, C y), and static C slope(C dy, C y, C sum), dx from the sum of the terms.
template <class Op, int N, class T>
__device__ inline void gradient_row(const Rows& rows, const RowPart<T, N>& part, const T* dy, const T* y, T* dx) {
  using C = Compute<T>;
  const bool is_held = part.is_held(rows);
  using Two = Packs<T, 2, N>;  // of dy and of y
  Two value[RowPart<T, N>::held];
  C sum = 0;
  const auto load = [&](int64_t c) { return Two{part.load(dy, c), part.load(y, c)}; };
  const auto add = [&](const Two& both) {
#pragma unroll
    for (int j = 0; j < N; ++j) sum += Op::term(C(both.of[0].v[j]), C(both.of[1].v[j]));
  };
  const auto finish = [&](int64_t c, const Two& both) {
    Pack<T, N> slope;
#pragma unroll
    for (int j = 0; j < N; ++j) slope.v[j] = T(Op::slope(C(both.of[0].v[j]), C(both.of[1].v[j]), sum));
    part.store(dx, c, slope);
  };
  if (is_held) {
    part.for_held([&](int k, int64_t c) { value[k] = load(c); });
    part.for_held([&](int k, int64_t) { add(value[k]); });
  } else {
    part.for_all(load, [&](int64_t, const Two& both) { add(both); });
  }
  sum = reduce_lanes<Sum<C>>(sum, rows.lanes);
  if (is_held)
    part.for_held([&](int k, int64_t c) { finish(c, value[k]); });
  else
    part.for_all(load, finish);
}

template <class Op, class T>
__global__ void normalize_rows_kernel(Rows rows, RowAccess access, const T* x, T* y) {
  WEFT_SHARED(Word, stage, [StagedRows<T>::words]);
  rows.for_each([&](int64_t row, int64_t base, bool valid) {
    if (!access.staged) {
      with_row_part<T>(rows, access, valid,
                       [&](const auto& part) { normalize_row<Op>(rows, part, x + base, y + base); });
      return;
    }
    const StagedRows<T> staged(rows, row, stage);
    staged.load(x);
    normalize_row<Op>(rows, RowPart<T, 1>(rows, access, valid), staged.row(row), staged.row(row));
    staged.store(y);
  });
}

template <class Op, class T>
__global__ void gradient_rows_kernel(Rows rows, RowAccess access, const T* dy, const T* y, T* dx) {
  WEFT_SHARED(Word, slopes, [StagedRows<T>::words]);
  WEFT_SHARED(Word, outputs, [StagedRows<T>::words]);
  rows.for_each([&](int64_t row, int64_t base, bool valid) {
    if (!access.staged) {
      with_row_part<T>(rows, access, valid,
                       [&](const auto& part) { gradient_row<Op>(rows, part, dy + base, y + base, dx + base); });
      return;
    }
    const StagedRows<T> up(rows, row, slopes), out(rows, row, outputs);
    up.load(dy);
    out.load(y);
    gradient_row<Op>(rows, RowPart<T, 1>(rows, access, valid), up.row(row), out.row(row), up.row(row));
    up.store(dx);
  });
}

/// Args: those of softmax or log_softmax. Op<C>: as above, C = Compute<T>.
template <template <class> class Op, class Args>
void launch_normalize_rows(const char* name, const Args& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Rows rows = rows_of(args.outer, args.n, args.inner, row_run<T>);
    const auto* x = static_cast<const T*>(args.x);
    auto* y = static_cast<T*>(args.y);
    launch(name, normalize_rows_kernel<Op<Compute<T>>, T>, grid_for_rows(rows, stream), stream, rows,
           access_of<T>(rows, x, y), x, y);
  });
}
template <template <class> class Op, class Args>
void launch_gradient_rows(const char* name, const Args& args, Stream stream) {
  dispatch_floating(args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Rows rows = rows_of(args.outer, args.n, args.inner, row_run<T>);
    const auto* dy = static_cast<const T*>(args.dy);
    const auto* y = static_cast<const T*>(args.y);
    auto* dx = static_cast<T*>(args.dx);
    launch(name, gradient_rows_kernel<Op<Compute<T>>, T>, grid_for_rows(rows, stream), stream, rows,
           access_of<T>(rows, dy, y, dx), dy, y, dx);
  });
}

}  // namespace weft::cuda
