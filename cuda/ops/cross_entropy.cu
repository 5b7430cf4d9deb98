// Cross entropy from logits: one read of the logits forward, one backward.
#include "weft/tensor/ops/cross_entropy.h"

#include "weft/cuda/exponentials.cuh"
#include "weft/cuda/row_part.cuh"
#include "weft/tensor/math.h"

namespace weft::cuda {
namespace {

/// Labels and weights of the positions. T: the logits' type, C = Compute<T>.
template <class C>
struct Labels {
  DType dtype;
  int64_t classes, ignored;
  const void* labels;
  const C* weights;

  __device__ int64_t operator[](int64_t i) const {
    if (dtype == DType::i64) return static_cast<const int64_t*>(labels)[i];
    if (dtype == DType::i32) return static_cast<const int32_t*>(labels)[i];
    return static_cast<const uint8_t*>(labels)[i];
  }
  __device__ bool counts(int64_t label) const { return label != ignored; }
  __device__ bool is_bad(int64_t label) const { return counts(label) && (label < 0 || label >= classes); }
  /// Of a label that counts; NaN for a bad one.
  __device__ C weight(int64_t label) const {
    if (is_bad(label)) return std::numeric_limits<C>::quiet_NaN();
    return weights ? weights[label] : C(1);
  }
};

/// w[label] (log_sum - x[label]); 0 where ignored, NaN where bad.
template <class C, class T>
__device__ inline C loss_of(const Labels<C>& labels, int64_t label, C log_sum, const T* row, int64_t step) {
  if (!labels.counts(label)) return C(0);
  if (labels.is_bad(label)) return std::numeric_limits<C>::quiet_NaN();
  return labels.weight(label) * (log_sum - C(row[label * step]));
}

template <class T, class C>
__global__ void forward_kernel(Rows rows, RowAccess access, Labels<C> labels, const T* x, C* log_sums, C* losses,
                               ErrorMark mark) {
  WEFT_SHARED(Word, stage, [StagedRows<T>::words]);
  rows.for_each([&](int64_t row, int64_t base, bool valid) {
    Exponentials<C> own;
    const auto read = [&](const auto& part, const T* from) {
      part.for_all([&](int64_t c) { return part.load(from, c); },
                   [&](int64_t, const auto& pack) {
                     for (const T value : pack.v) own.add(C(value));
                   });
    };
    if (access.staged) {
      const StagedRows<T> staged(rows, row, stage);
      staged.load(x);
      read(RowPart<T, 1>(rows, access, valid), staged.row(row));
    } else {
      with_row_part<T>(rows, access, valid, [&](const auto& part) { read(part, x + base); });
    }
    C top;
    const C sum = own.over_lanes(rows.lanes, top);
    if (!valid || rows.lane() != 0) return;
    const C log_sum = top + math::log(sum);
    const int64_t label = labels[row];
    log_sums[row] = log_sum;
    losses[row] = loss_of(labels, label, log_sum, x + base, rows.inner);
    if (labels.is_bad(label)) mark_error(mark, row);
  });
}

/// Sums of loss and weight.
struct Totals {
  struct Acc {
    double loss, weight;
  };
  __device__ static Acc none() { return {0, 0}; }
  __device__ static Acc merge(const Acc& a, const Acc& b) { return {a.loss + b.loss, a.weight + b.weight}; }
  __device__ static Acc exchange(const Acc& a, int mask) {
    return {shuffle_xor(a.loss, mask), shuffle_xor(a.weight, mask)};
  }
};

template <class C>
__global__ void chunks_kernel(int64_t positions, Labels<C> labels, const C* losses, double* partials) {
  const int64_t chunks = (positions + cross_entropy_chunk - 1) / cross_entropy_chunk;
  for (int64_t chunk = blockIdx.x; chunk < chunks; chunk += gridDim.x) {
    const int64_t end = smaller(positions, (chunk + 1) * cross_entropy_chunk);
    auto acc = Totals::none();
#pragma unroll 4
    for (int64_t i = chunk * cross_entropy_chunk + threadIdx.x; i < end; i += reduce_threads) {
      const int64_t label = labels[i];
      if (labels.counts(label))
        acc = Totals::merge(acc, {static_cast<double>(losses[i]), static_cast<double>(labels.weight(label))});
    }
    acc = reduce_lanes<Totals>(acc, reduce_threads);
    if (threadIdx.x == 0) {
      partials[2 * chunk] = acc.loss;
      partials[2 * chunk + 1] = acc.weight;
    }
  }
}

/// One block.
template <class C>
__global__ void totals_kernel(int64_t chunks, const double* partials, C* sum, C* weight, C* mean) {
  auto acc = Totals::none();
  for (int64_t c = threadIdx.x; c < chunks; c += reduce_threads)
    acc = Totals::merge(acc, {partials[2 * c], partials[2 * c + 1]});
  acc = reduce_lanes<Totals>(acc, reduce_threads);
  if (threadIdx.x != 0) return;
  *sum = C(acc.loss);
  *weight = C(acc.weight);
  if (mean) *mean = acc.weight == 0 ? C(0) : C(acc.loss / acc.weight);
}

/// s_i w[label_i], the factor of a position's gradient; NaN where the label is bad.
template <class C>
__device__ inline C factor_of(const Labels<C>& labels, int64_t label, const C* dloss, int64_t i, const C* weight) {
  const C total = weight ? *weight : C(1);
  return total == C(0) ? C(0) : dloss[i] / total * labels.weight(label);
}

/// What gradients of logits are made of, at every position. `dloss_stride`: 0 if it is one number.
template <class C>
struct Upstream {
  Labels<C> labels;
  const C *log_sums, *dloss;
  int64_t dloss_stride;
  const C* weight;

  __device__ C factor(int64_t label, int64_t position) const {
    return factor_of(labels, label, dloss, position * dloss_stride, weight);
  }
};

/// dlogits [outer, classes, inner], N neighbours of one class each.
template <int N, class T, class C>
__global__ void backward_kernel(int64_t numel, Divider by_inner, Divider by_classes, int64_t inner, Upstream<C> up,
                                const T* x, T* dx) {
  const auto load = [&](int64_t i) { return load_as<Pack<T, N>>(x + i); };
  for_ahead(thread_in_grid() * N, threads_in_grid() * N, numel, load, [&](int64_t i, Pack<T, N> pack) {
    const auto [row, in] = by_inner(i);
    const auto [outer, c] = by_classes(row);
    const int64_t first = outer * inner + in;
    const auto log_sum = load_as<Pack<C, N>>(up.log_sums + first);
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const int64_t label = up.labels[first + j];
      C value = 0;
      if (up.labels.counts(label))
        value = up.factor(label, first + j) * (math::exp(C(pack.v[j]) - log_sum.v[j]) - (c == label ? C(1) : C(0)));
      pack.v[j] = T(value);
    }
    store_as(dx + i, pack);
  });
}

/// The same where classes are innermost: packs may straddle positions.
template <class T, class C>
__global__ void backward_packs_kernel(int64_t numel, Divider by_classes, Upstream<C> up, const T* x, T* dx, bool wide) {
  const auto load = [&](auto size, int64_t i) { return load_as<Pack<T, size>>(x + i); };
  for_packs<pack_size<T>>(numel, wide, load, [&](auto size, int64_t i, auto pack) {
    auto [position, c] = by_classes(i);
    int64_t label = 0;
    C factor = 0, log_sum = 0;
    bool counts = false;
#pragma unroll
    for (int j = 0; j < size; ++j) {
      if (j == 0 || c == up.labels.classes) {
        if (j > 0) c = 0, ++position;
        label = up.labels[position];
        counts = up.labels.counts(label);
        log_sum = up.log_sums[position];
        factor = counts ? up.factor(label, position) : C(0);
      }
      const C value = factor * (math::exp(C(pack.v[j]) - log_sum) - (c == label ? C(1) : C(0)));
      pack.v[j] = T(counts ? value : C(0));
      ++c;
    }
    store_as(dx + i, pack);
  });
}

/// One row of `second`: x and g -> dx (if it is not null) and ddloss.
template <int N, class T, class C>
__device__ inline void second_row(const Rows& rows, const RowPart<T, N>& part, const Upstream<C>& up, int64_t row,
                                  bool valid, const T* x, const T* g, C* ddloss, T* dx) {
  using Two = Packs<T, 2, N>;  // of x and of g
  const C log_sum = valid ? up.log_sums[row] : C(0);
  const auto load = [&](int64_t c) { return Two{part.load(x, c), part.load(g, c)}; };
  C t = 0;
  part.for_all(load, [&](int64_t, const Two& both) {
#pragma unroll
    for (int j = 0; j < N; ++j) t += C(both.of[1].v[j]) * math::exp(C(both.of[0].v[j]) - log_sum);
  });
  t = reduce_lanes<Sum<C>>(t, rows.lanes);
  if (!valid) return;
  const int64_t label = up.labels[row];
  const bool counts = up.labels.counts(label);
  const C factor = counts ? up.factor(label, row) : C(0);
  if (ddloss && rows.lane() == 0) {
    const C total = up.weight ? *up.weight : C(1);
    const bool zero = !counts || total == C(0);
    const C at_label = zero || up.labels.is_bad(label) ? C(0) : C(g[label * rows.inner]);
    ddloss[row] = zero ? C(0) : up.labels.weight(label) * (t - at_label) / total;
  }
  if (!dx) return;
  part.for_all(load, [&](int64_t c, const Two& both) {
    Pack<T, N> slope;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      const C value = factor * math::exp(C(both.of[0].v[j]) - log_sum) * (C(both.of[1].v[j]) - t);
      slope.v[j] = T(counts ? value : C(0));
    }
    part.store(dx, c, slope);
  });
}

template <class T, class C>
__global__ void second_kernel(Rows rows, RowAccess access, Upstream<C> up, const T* x, const T* g, C* ddloss, T* dx) {
  WEFT_SHARED(Word, logits, [StagedRows<T>::words]);
  WEFT_SHARED(Word, slopes, [StagedRows<T>::words]);
  rows.for_each([&](int64_t row, int64_t base, bool valid) {
    if (!access.staged) {
      with_row_part<T>(rows, access, valid, [&](const auto& part) {
        second_row(rows, part, up, row, valid, x + base, g + base, ddloss, dx ? dx + base : nullptr);
      });
      return;
    }
    const StagedRows<T> own(rows, row, logits), outer(rows, row, slopes);
    own.load(x);
    outer.load(g);
    second_row(rows, RowPart<T, 1>(rows, access, valid), up, row, valid, own.row(row), outer.row(row), ddloss,
               dx ? own.row(row) : nullptr);
    if (dx) own.store(dx);
  });
}

template <class C>
Labels<C> labels_of(const CrossEntropyInput& in) {
  return {in.label_dtype, in.classes, in.ignore_label, in.labels, static_cast<const C*>(in.weights)};
}

void forward(const CrossEntropyArgs& args, Stream stream) {
  const CrossEntropyInput& in = args.input;
  const ErrorMark mark = arm_error(
      stream, "cross_entropy: a label is not one of the classes; labels are 0 … classes - 1, or the ignored one");
  dispatch_floating(in.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const Rows rows = rows_of(in.outer, in.classes, in.inner, row_run<T>);
    const Labels<C> labels = labels_of<C>(in);
    auto* losses = static_cast<C*>(args.loss);
    const auto* x = static_cast<const T*>(in.logits);
    launch("cross_entropy", forward_kernel<T, C>, grid_for_rows(rows, stream), stream, rows, access_of<T>(rows, x),
           labels, x, static_cast<C*>(args.log_sum), losses, mark);
    const int64_t chunks = (rows.count + cross_entropy_chunk - 1) / cross_entropy_chunk;
    launch("cross_entropy", chunks_kernel<C>, grid_for(chunks * reduce_threads, stream, reduce_threads), stream,
           rows.count, labels, losses, args.partials);
    launch("cross_entropy", totals_kernel<C>, Grid{.blocks = 1, .threads = reduce_threads}, stream, chunks,
           args.partials, static_cast<C*>(args.sum), static_cast<C*>(args.weight), static_cast<C*>(args.mean));
  });
}

template <class C, class Args>
Upstream<C> upstream_of(const Args& args) {
  return {labels_of<C>(args.input), static_cast<const C*>(args.log_sum), static_cast<const C*>(args.dloss),
          args.dloss_stride, static_cast<const C*>(args.weight)};
}

void backward(const CrossEntropyBackwardArgs& args, Stream stream) {
  const CrossEntropyInput& in = args.input;
  dispatch_floating(in.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const int64_t numel = in.outer * in.classes * in.inner;
    const auto up = upstream_of<C>(args);
    const auto* x = static_cast<const T*>(in.logits);
    auto* dx = static_cast<T*>(args.dlogits);
    if (in.inner == 1) {
      const bool wide = holds_packs<T>(x, dx);
      launch("cross_entropy_backward", backward_packs_kernel<T, C>,
             grid_for_packs(numel, wide ? pack_size<T> : 1, stream), stream, numel, Divider(in.classes, numel), up, x,
             dx, wide);
      return;
    }
    with_pack<T>(in.inner, holds_packs<T>(x, dx) && holds_packs<C>(up.log_sums), [&](auto n) {
      launch("cross_entropy_backward", backward_kernel<n, T, C>, grid_for_packs(numel, n, stream), stream, numel,
             Divider(in.inner, numel), Divider(in.classes, numel), in.inner, up, x, dx);
    });
  });
}

void second(const CrossEntropySecondArgs& args, Stream stream) {
  const CrossEntropyInput& in = args.input;
  dispatch_floating(in.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const Rows rows = rows_of(in.outer, in.classes, in.inner, row_run<T>);
    const auto* x = static_cast<const T*>(in.logits);
    const auto* g = static_cast<const T*>(args.g);
    auto* dx = static_cast<T*>(args.dlogits);
    launch("cross_entropy_second", second_kernel<T, C>, grid_for_rows(rows, stream), stream, rows,
           access_of<T>(rows, x, g, dx), upstream_of<C>(args), x, g, static_cast<C*>(args.ddloss), dx);
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(cross_entropy_kernel, weft::cuda::forward);
  WEFT_PLUG(cross_entropy_backward_kernel, weft::cuda::backward);
  WEFT_PLUG(cross_entropy_second_kernel, weft::cuda::second);
}
