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
  rows.for_each([&](int64_t row, int64_t base, bool valid) {
    Exponentials<C> own;
    const auto read = [&](const auto& part) {
      part.for_all([&](int64_t c) {
        for (const T value : part.load(x + base, c).v) own.add(C(value));
      });
    };
    if (access.wide)
      read(RowPart<T, pack_size<T>>(rows, access, valid));
    else
      read(RowPart<T, 1>(rows, access, valid));
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

/// dlogits, an element each: [outer, classes, inner] in memory order.
template <class T, class C>
__global__ void backward_kernel(int64_t numel, Divider by_inner, Divider by_classes, int64_t inner, Labels<C> labels,
                                const T* x, const C* log_sums, const C* dloss, int64_t dloss_stride, const C* weight,
                                T* dx) {
  for (int64_t i = thread_in_grid(); i < numel; i += threads_in_grid()) {
    const auto [row, in] = by_inner(i);
    const auto [outer, c] = by_classes(row);
    const int64_t position = outer * inner + in;
    const int64_t label = labels[position];
    C value = 0;
    if (labels.counts(label)) {
      const C factor = factor_of(labels, label, dloss, position * dloss_stride, weight);
      value = factor * (math::exp(C(x[i]) - log_sums[position]) - (c == label ? C(1) : C(0)));
    }
    dx[i] = T(value);
  }
}

/// The same where classes are innermost: a pack of elements each, which may straddle positions.
template <class T, class C>
__global__ void backward_packs_kernel(int64_t numel, Divider by_classes, Labels<C> labels, const T* x,
                                      const C* log_sums, const C* dloss, int64_t dloss_stride, const C* weight, T* dx,
                                      bool wide) {
  constexpr int N = pack_size<T>;
  for (int64_t i = thread_in_grid() * N; i < numel; i += threads_in_grid() * N) {
    Pack<T> pack = load4(x, i, numel, wide);
    auto [position, c] = by_classes(i);
    int64_t label = 0;
    C factor = 0, log_sum = 0;
    bool counts = false;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      if (i + j >= numel) break;
      if (j == 0 || c == labels.classes) {
        if (j > 0) c = 0, ++position;
        label = labels[position];
        counts = labels.counts(label);
        log_sum = log_sums[position];
        factor = counts ? factor_of(labels, label, dloss, position * dloss_stride, weight) : C(0);
      }
      const C value = factor * (math::exp(C(pack.v[j]) - log_sum) - (c == label ? C(1) : C(0)));
      pack.v[j] = T(counts ? value : C(0));
      ++c;
    }
    store4(dx, i, numel, wide, pack);
  }
}

template <class T, class C>
__global__ void second_kernel(Rows rows, Labels<C> labels, const T* x, const C* log_sums, const C* dloss,
                              int64_t dloss_stride, const C* weight, const T* g, C* ddloss, T* dx) {
  const int lane = rows.lane();
  rows.for_each([&](int64_t row, int64_t base, bool valid) {
    const int64_t n = valid ? rows.n : 0;
    const C log_sum = valid ? log_sums[row] : C(0);
    C t = 0;
    for (int64_t c = lane; c < n; c += rows.lanes) {
      const int64_t i = base + c * rows.inner;
      t += C(g[i]) * math::exp(C(x[i]) - log_sum);
    }
    t = reduce_lanes<Sum<C>>(t, rows.lanes);
    if (!valid) return;
    const int64_t label = labels[row];
    const bool counts = labels.counts(label);
    const C factor = counts ? factor_of(labels, label, dloss, row * dloss_stride, weight) : C(0);
    if (ddloss && lane == 0) {
      const C total = weight ? *weight : C(1);
      const bool zero = !counts || total == C(0);
      const C at_label = zero || labels.is_bad(label) ? C(0) : C(g[base + label * rows.inner]);
      ddloss[row] = zero ? C(0) : labels.weight(label) * (t - at_label) / total;
    }
    if (!dx) return;
    for (int64_t c = lane; c < n; c += rows.lanes) {
      const int64_t i = base + c * rows.inner;
      dx[i] = counts ? T(factor * math::exp(C(x[i]) - log_sum) * (C(g[i]) - t)) : T(C(0));
    }
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
    const Rows rows = rows_of(in.outer, in.classes, in.inner);
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

void backward(const CrossEntropyBackwardArgs& args, Stream stream) {
  const CrossEntropyInput& in = args.input;
  dispatch_floating(in.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const int64_t numel = in.outer * in.classes * in.inner;
    if (in.inner == 1) {
      constexpr int N = pack_size<T>;
      launch("cross_entropy_backward", backward_packs_kernel<T, C>, grid_for(packs_of(numel, N), stream), stream, numel,
             Divider(in.classes, numel + N), labels_of<C>(in), static_cast<const T*>(in.logits),
             static_cast<const C*>(args.log_sum), static_cast<const C*>(args.dloss), args.dloss_stride,
             static_cast<const C*>(args.weight), static_cast<T*>(args.dlogits),
             holds_packs<T, N>(in.logits, args.dlogits));
      return;
    }
    launch("cross_entropy_backward", backward_kernel<T, C>, grid_for(numel, stream), stream, numel,
           Divider(in.inner, numel), Divider(in.classes, numel), in.inner, labels_of<C>(in),
           static_cast<const T*>(in.logits), static_cast<const C*>(args.log_sum), static_cast<const C*>(args.dloss),
           args.dloss_stride, static_cast<const C*>(args.weight), static_cast<T*>(args.dlogits));
  });
}

void second(const CrossEntropySecondArgs& args, Stream stream) {
  const CrossEntropyInput& in = args.input;
  dispatch_floating(in.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const Rows rows = rows_of(in.outer, in.classes, in.inner);
    launch("cross_entropy_second", second_kernel<T, C>, grid_for_rows(rows, stream), stream, rows, labels_of<C>(in),
           static_cast<const T*>(in.logits), static_cast<const C*>(args.log_sum), static_cast<const C*>(args.dloss),
           args.dloss_stride, static_cast<const C*>(args.weight), static_cast<const T*>(args.g),
           static_cast<C*>(args.ddloss), static_cast<T*>(args.dlogits));
  });
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(cross_entropy_kernel, weft::cuda::forward);
  WEFT_PLUG(cross_entropy_backward_kernel, weft::cuda::backward);
  WEFT_PLUG(cross_entropy_second_kernel, weft::cuda::second);
}
