// The loss, its gradient and the gradient of that: three passes over the same rows and tiles, in one file for what they
// share.
#include "weft/tensor/ops/cross_entropy.h"

#include "weft/tensor/cpu/exp_rows.h"

namespace weft {
namespace {

constexpr int width = 128;    // positions computed side by side where the classes are not the fastest dimension
constexpr int64_t held = 32;  // classes of such a tile that stay in a buffer between the passes

// What a label says about its position. 32 bits, as the f32 that it is compared beside: wider ones halve the vectors.
constexpr int32_t ignored = -1, bad = -2;

/// Of `count` positions: their classes, or one of these.
WEFT_INLINE void load_labels(const CrossEntropyInput& in, int64_t first, int count, int32_t* label) {
  const auto load = [&](const auto* labels) {
    for (int k = 0; k < count; ++k) {
      const int64_t at = static_cast<int64_t>(labels[first + k]);
      const bool valid = at >= 0 && at < in.classes;
      label[k] = at == in.ignore_label ? ignored : valid ? static_cast<int32_t>(at) : bad;
    }
  };
  if (in.label_dtype == DType::i64)
    load(static_cast<const int64_t*>(in.labels));
  else if (in.label_dtype == DType::i32)
    load(static_cast<const int32_t*>(in.labels));
  else
    load(static_cast<const uint8_t*>(in.labels));
}
WEFT_INLINE int32_t class_at(const CrossEntropyInput& in, int64_t position) {
  int32_t label;
  load_labels(in, position, 1, &label);
  return label;
}
template <class C>
WEFT_INLINE C class_weight(const CrossEntropyInput& in, int32_t label) {
  return in.weights ? static_cast<const C*>(in.weights)[label] : C(1);
}

void lower(int64_t* least, int64_t value) {
  int64_t seen = __atomic_load_n(least, __ATOMIC_RELAXED);
  while (value < seen && !__atomic_compare_exchange_n(least, &seen, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

// Rows of contiguous classes are worked on in groups; one long row is a group.
struct RowGroups {
  int64_t n, rows;
  WEFT_INLINE explicit RowGroups(int64_t classes) : n(classes), rows(classes <= block ? block / classes : 1) {}
  template <class Body>
  WEFT_INLINE void run(int64_t outer, int64_t cost, const Body& body) const {
    parallel_for((outer + rows - 1) / rows, 1 + cost / (rows * n), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin * rows; r < smaller(end * rows, outer); r += rows) body(r, smaller(rows, outer - r));
    });
  }
};

template <class Body>
WEFT_INLINE void for_tiles(const CrossEntropyInput& in, const Body& body) {
  const Tiles<width> tiles{in.outer, in.classes, in.inner};
  parallel_for(tiles.count(), 1 + 8192 / (in.classes * width), [&](int64_t begin, int64_t end) {
    Tile<width> tile;
    for (int64_t i = begin; i < end; ++i) {
      tiles.locate(i, tile);
      body(tile);
    }
  });
}

template <class C>
WEFT_INLINE bool by_rows(const CrossEntropyInput& in) {
  return in.inner == 1 && in.classes >= vec<C>;
}

// loss = log_sum - logit, times the class weight.
template <class T>
WEFT_INLINE void row_losses(const CrossEntropyArgs& a, int64_t first, int64_t rows) {
  using C = Compute<T>;
  const C* log_sum = static_cast<const C*>(a.log_sum);
  const T* x = static_cast<const T*>(a.input.logits);
  C* loss = static_cast<C*>(a.loss);
  for (int64_t r = first; r < first + rows; ++r) {
    const int32_t label = class_at(a.input, r);
    if (label == bad) lower(a.bad, r);
    loss[r] = label < 0
                  ? C(0)
                  : class_weight<C>(a.input, label) * (log_sum[r] - static_cast<C>(x[r * a.input.classes + label]));
  }
}

template <class T>
void forward_rows(const CrossEntropyArgs& a) {
  using C = Compute<T>;
  const int64_t n = a.input.classes;
  const T* x = static_cast<const T*>(a.input.logits);
  C* log_sum = static_cast<C*>(a.log_sum);
  RowGroups(n).run(a.input.outer, 8192, [&](int64_t first, int64_t rows) {
    C buffer[block], e[block], top[block / vec<C>];
    if (n > block) {
      const double total = exp_sum(x + first * n, n, buffer, e, top[0]);
      log_sum[first] = top[0] + static_cast<C>(math::log(total));
    } else {
      const C* in = computable(x + first * n, rows * n, buffer);
      for (int64_t r = 0; r < rows; ++r) {
        top[r] = top_of(in + r * n, n);
        shift(in + r * n, top[r], n, e + r * n);
      }
      exp_all(e, rows * n);
      for (int64_t r = 0; r < rows; ++r) log_sum[first + r] = sum_of(e + r * n, n);
      for (int64_t r = 0; r < rows; ++r) log_sum[first + r] = top[r] + math::log(log_sum[first + r]);
    }
    row_losses<T>(a, first, rows);
  });
}

template <class T>
WEFT_INLINE void forward_tile(const CrossEntropyArgs& a, const Tile<width>& tile) {
  using C = Compute<T>;
  C buffer[held * width];
  const int64_t n = a.input.classes, step = a.input.inner;
  const T* x = static_cast<const T*>(a.input.logits);
  C top[width], sum[width] = {}, value[width] = {};
  int32_t label[width] = {};
  load_labels(a.input, tile.first, tile.count, label);
  int32_t least = 0;
  for (int k = 0; k < tile.count; ++k) least = smaller(least, label[k]);
  for (int k = 0; least == bad && k < tile.count; ++k)
    if (label[k] == bad) lower(a.bad, tile.first + k);
  for (int k = 0; k < width; ++k) top[k] = -std::numeric_limits<C>::infinity();
  const auto row = [&](int64_t c) { return buffer + (n <= held ? c : 0) * width; };
  for (int64_t c = 0; c < n; ++c) {
    C* v = row(c);
    const int32_t now = static_cast<int32_t>(c);
    tile.load(x + c * step, v);
    tile.prefetch_next(x + c * step);
    for (int k = 0; k < tile.padded; ++k) {
      top[k] = larger(top[k], v[k]);
      value[k] = label[k] == now ? v[k] : value[k];
    }
  }
  for (int64_t c = 0; c < n; ++c) {
    C* v = row(c);
    if (n > held) tile.load(x + c * step, v);
    for (int k = 0; k < tile.padded; ++k) sum[k] += exp_below(v[k] - top[k]);
  }
  for (int k = 0; k < tile.padded; ++k) sum[k] = top[k] + math::log(sum[k]);
  C* log_sum = static_cast<C*>(a.log_sum) + tile.first;
  C* loss = static_cast<C*>(a.loss) + tile.first;
  for (int k = tile.begin; k < tile.count; ++k) {
    log_sum[k] = sum[k];
    loss[k] = label[k] < 0 ? C(0) : class_weight<C>(a.input, label[k]) * (sum[k] - value[k]);
  }
}

// Sums of losses and weights by chunks, then over the chunks.
template <class C>
void reduce(const CrossEntropyArgs& a) {
  const int64_t positions = a.input.outer * a.input.inner;
  const int64_t chunks = (positions + cross_entropy_chunk - 1) / cross_entropy_chunk;
  const C* loss = static_cast<const C*>(a.loss);
  parallel_for(chunks, 16, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t last = smaller(positions, (chunk + 1) * cross_entropy_chunk);
      double sum[4] = {}, weight[4] = {};
      for (int64_t i = chunk * cross_entropy_chunk; i < last; i += width) {
        const int count = static_cast<int>(smaller<int64_t>(width, last - i));
        int32_t label[width];
        C one[width] = {}, each[width] = {};  // nothing beyond the count
        load_labels(a.input, i, count, label);
        for (int k = 0; k < count; ++k) one[k] = label[k] < 0 ? C(0) : class_weight<C>(a.input, label[k]);
        for (int k = 0; k < count; ++k) each[k] = loss[i + k];
        for (int k = 0; k < width; k += 4) {
          for (int j = 0; j < 4; ++j) sum[j] += static_cast<double>(each[k + j]);
          for (int j = 0; j < 4; ++j) weight[j] += static_cast<double>(one[k + j]);
        }
      }
      a.partials[2 * chunk] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
      a.partials[2 * chunk + 1] = (weight[0] + weight[1]) + (weight[2] + weight[3]);
    }
  });
  double sum = 0, weight = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    sum += a.partials[2 * chunk];
    weight += a.partials[2 * chunk + 1];
  }
  *static_cast<C*>(a.sum) = static_cast<C>(sum);
  *static_cast<C*>(a.weight) = static_cast<C>(weight);
  if (a.mean) *static_cast<C*>(a.mean) = weight != 0 ? static_cast<C>(sum / weight) : C(0);
}

template <class T>
void forward(const CrossEntropyArgs& a) {
  using C = Compute<T>;
  if (by_rows<C>(a.input)) {
    forward_rows<T>(a);
  } else {
    for_tiles(a.input, [&](const Tile<width>& tile) { forward_tile<T>(a, tile); });
  }
  reduce<C>(a);
}

// The factor of a position's gradient: NaN for a label that is no class.
template <class C, class Args>
WEFT_INLINE C factor_at(const Args& a, int64_t position, int32_t label) {
  if (label == ignored) return C(0);
  if (label == bad) return std::numeric_limits<C>::quiet_NaN();
  const C dloss = static_cast<const C*>(a.dloss)[position * a.dloss_stride];
  const C weight = a.weight ? *static_cast<const C*>(a.weight) : C(1);
  return weight != C(0) ? class_weight<C>(a.input, label) * dloss / weight : C(0);
}

// Of a whole tile. Without class weights nothing is looked up, and vectors do it.
template <class C, class Args>
WEFT_INLINE void load_factors(const Args& a, const Tile<width>& tile, const int32_t* label, C* factor) {
  const C weight = a.weight ? *static_cast<const C*>(a.weight) : C(1);
  if (a.input.weights || weight == C(0)) {
    for (int k = 0; k < tile.count; ++k) factor[k] = factor_at<C>(a, tile.first + k, label[k]);
    return;
  }
  const C* dloss = static_cast<const C*>(a.dloss) + tile.first * a.dloss_stride;
  if (a.dloss_stride == 0)
    for (int k = 0; k < tile.count; ++k) factor[k] = dloss[0] / weight;
  else
    for (int k = 0; k < tile.count; ++k) factor[k] = dloss[k * a.dloss_stride] / weight;
  const C nan = std::numeric_limits<C>::quiet_NaN();
  for (int k = 0; k < tile.count; ++k) factor[k] = label[k] == ignored ? C(0) : label[k] == bad ? nan : factor[k];
}

// Rows [first, first + rows) of n <= block classes, or one longer one.
template <class T>
WEFT_INLINE void backward_rows(const CrossEntropyBackwardArgs& a, int64_t first, int64_t rows) {
  using C = Compute<T>;
  const int64_t n = a.input.classes;
  const C* log_sum = static_cast<const C*>(a.log_sum);
  C buffer[block], e[block];
  for_blocks<C>(rows * n, [&](int64_t i, int64_t m) {
    const T* x = static_cast<const T*>(a.input.logits) + first * n + i;
    T* out = static_cast<T*>(a.dlogits) + first * n + i;
    const C* in = computable(x, m, buffer);
    const int64_t part = rows > 1 ? n : m;  // a block holds whole rows, or a part of the only one
    for (int64_t r = 0; r < rows; ++r) shift(in + r * part, log_sum[first + r], part, e + r * part);
    exp_all(e, m);
    for (int64_t r = 0; r < rows; ++r) {
      const int32_t label = class_at(a.input, first + r);
      const C factor = factor_at<C>(a, first + r, label);
      if (label >= i && label < i + part) e[r * part + label - i] -= C(1);
      if (label == ignored)
        for (int64_t k = 0; k < part; ++k) out[r * part + k] = static_cast<T>(C(0));
      else
        scale(e + r * part, factor, part, out + r * part);
    }
  });
}

template <class T>
WEFT_INLINE void backward_tile(const CrossEntropyBackwardArgs& a, const Tile<width>& tile) {
  using C = Compute<T>;
  C v[width] = {}, log_sum[width] = {}, factor[width] = {};
  int32_t label[width] = {};
  load_labels(a.input, tile.first, tile.count, label);
  load_factors(a, tile, label, factor);
  for (int k = 0; k < tile.count; ++k) log_sum[k] = static_cast<const C*>(a.log_sum)[tile.first + k];
  for (int64_t c = 0; c < a.input.classes; ++c) {
    const int32_t now = static_cast<int32_t>(c);
    tile.load(static_cast<const T*>(a.input.logits) + c * a.input.inner, v);
    tile.prefetch_next(static_cast<const T*>(a.input.logits) + c * a.input.inner);
    for (int k = 0; k < tile.padded; ++k) {
      const C p = exp_below(v[k] - log_sum[k]) - (label[k] == now ? C(1) : C(0));
      v[k] = label[k] == ignored ? C(0) : factor[k] * p;
    }
    tile.store(static_cast<T*>(a.dlogits) + c * a.input.inner, v);
  }
}

template <class T>
void backward(const CrossEntropyBackwardArgs& a) {
  if (by_rows<Compute<T>>(a.input)) {
    RowGroups(a.input.classes).run(a.input.outer, 8192, [&](int64_t first, int64_t rows) {
      backward_rows<T>(a, first, rows);
    });
    return;
  }
  for_tiles(a.input, [&](const Tile<width>& tile) { backward_tile<T>(a, tile); });
}

template <class T>
WEFT_INLINE void second_tile(const CrossEntropySecondArgs& a, const Tile<width>& tile) {
  using C = Compute<T>;
  const int64_t n = a.input.classes, step = a.input.inner;
  C g[width] = {}, v[width] = {}, log_sum[width] = {}, t[width] = {}, own[width] = {};
  int32_t label[width] = {};
  load_labels(a.input, tile.first, tile.count, label);
  for (int k = 0; k < tile.count; ++k) log_sum[k] = static_cast<const C*>(a.log_sum)[tile.first + k];
  const auto load = [&](int64_t c) {
    tile.load(static_cast<const T*>(a.g) + c * step, g);
    tile.load(static_cast<const T*>(a.input.logits) + c * step, v);
    for (int k = 0; k < tile.padded; ++k) v[k] = exp_below(v[k] - log_sum[k]);
  };
  for (int64_t c = 0; c < n; ++c) {
    const int32_t now = static_cast<int32_t>(c);
    load(c);
    for (int k = 0; k < tile.padded; ++k) {
      t[k] += g[k] * v[k];
      own[k] = label[k] == now ? g[k] : own[k];
    }
  }
  const C weight = a.weight ? *static_cast<const C*>(a.weight) : C(1);
  if (a.ddloss)
    for (int k = tile.begin; k < tile.count; ++k)
      static_cast<C*>(a.ddloss)[tile.first + k] =
          label[k] < 0 || weight == C(0) ? C(0) : class_weight<C>(a.input, label[k]) * (t[k] - own[k]) / weight;
  if (!a.dlogits) return;
  C factor[width] = {};
  load_factors(a, tile, label, factor);
  for (int64_t c = 0; c < n; ++c) {
    load(c);
    for (int k = 0; k < tile.padded; ++k) v[k] = label[k] == ignored ? C(0) : factor[k] * v[k] * (g[k] - t[k]);
    tile.store(static_cast<T*>(a.dlogits) + c * step, v);
  }
}

template <class T>
void second(const CrossEntropySecondArgs& a) {
  for_tiles(a.input, [&](const Tile<width>& tile) { second_tile<T>(a, tile); });
}

void cross_entropy(const CrossEntropyArgs& args, Stream) {
  dispatch_floating(args.input.dtype, [&](auto tag) { forward<typename decltype(tag)::type>(args); });
}
void cross_entropy_backward(const CrossEntropyBackwardArgs& args, Stream) {
  dispatch_floating(args.input.dtype, [&](auto tag) { backward<typename decltype(tag)::type>(args); });
}
void cross_entropy_second(const CrossEntropySecondArgs& args, Stream) {
  dispatch_floating(args.input.dtype, [&](auto tag) { second<typename decltype(tag)::type>(args); });
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(cross_entropy_kernel, cross_entropy);
  WEFT_PLUG(cross_entropy_backward_kernel, cross_entropy_backward);
  WEFT_PLUG(cross_entropy_second_kernel, cross_entropy_second);
}
