// Optimizer updates: many tensors in one launch, their elements moved in packs where the addresses of all of a tensor's
// operands allow it.
#include "weft/tensor/ops/optimizer_update.h"

#include "weft/cuda/list.cuh"
#include "weft/tensor/math.h"
#include "weft/tensor/ops/loss_scale.h"

namespace weft::cuda {
namespace {

/// What an update reads and writes of an element; states that the item has not are 0 and go nowhere.
template <class T>
struct Element {
  T w, g, first, second, third;
};

template <class T>
struct Sgd {
  using Value = T;
  static constexpr int states = 1;
  double scale;
  T momentum;
  bool nesterov;

  __device__ void number(double) {}
  __device__ void operator()(const UpdateItem& item, Element<T>& e) const {
    T d = e.g * T(scale) + T(item.decay) * e.w;
    if (item.first) {
      e.first = momentum * e.first + d;
      d = nesterov ? d + momentum * e.first : e.first;
    }
    e.w -= T(item.lr) * d;
  }
};

template <class T>
struct Adam {
  using Value = T;
  static constexpr int states = 2;
  double scale, decay1, decay2;  // of the moments
  T beta1, beta2, eps, correction1, correction2;
  bool decoupled;

  __device__ void number(double step) {
    correction1 = T(1 - math::pow(decay1, step));
    correction2 = T(1 - math::pow(decay2, step));
  }
  __device__ void operator()(const UpdateItem& item, Element<T>& e) const {
    const T lr = T(item.lr), decay = T(item.decay);
    const T d = e.g * T(scale) + (decoupled ? T(0) : decay) * e.w;
    e.first = beta1 * e.first + (1 - beta1) * d;
    e.second = beta2 * e.second + (1 - beta2) * d * d;
    e.w = (decoupled ? 1 - lr * decay : T(1)) * e.w -
          lr / correction1 * e.first / (math::sqrt(e.second / correction2) + eps);
  }
};

template <class T>
struct Rmsprop {
  using Value = T;
  static constexpr int states = 3;
  double scale;
  T alpha, eps, momentum;

  __device__ void number(double) {}
  __device__ void operator()(const UpdateItem& item, Element<T>& e) const {
    T d = e.g * T(scale) + T(item.decay) * e.w;
    T square = alpha * e.first + (1 - alpha) * d * d;
    e.first = square;
    if (item.second) {
      e.second = alpha * e.second + (1 - alpha) * d;
      square -= e.second * e.second;
    }
    d /= math::sqrt(square > 0 ? square : T(0)) + eps;
    if (item.third) {
      d += momentum * e.third;
      e.third = d;
    }
    e.w -= T(item.lr) * d;
  }
};

/// N elements of an operand from i on; of one that is null, zeros.
template <int N, class T>
__device__ inline Pack<T, N> load_from(const void* x, int64_t i) {
  return x ? load_as<Pack<T, N>>(static_cast<const T*>(x) + i) : Pack<T, N>{};
}
template <int N, class T>
__device__ inline void store_to(void* x, int64_t i, const Pack<T, N>& pack) {
  if (x) store_as(static_cast<T*>(x) + i, pack);
}

/// Packs of value, gradient and the states that there are.
template <class Update, int N>
using Operands = Packs<typename Update::Value, 2 + Update::states, N>;

template <class Update, int N>
__device__ inline Operands<Update, N> load_elements(const UpdateItem& item, int64_t i) {
  using T = typename Update::Value;
  Operands<Update, N> x;
  x.of[0] = load_from<N, T>(item.value, i);
  x.of[1] = load_from<N, T>(item.gradient, i);
  x.of[2] = load_from<N, T>(item.first, i);
  if constexpr (Update::states > 1) x.of[3] = load_from<N, T>(item.second, i);
  if constexpr (Update::states > 2) x.of[4] = load_from<N, T>(item.third, i);
  return x;
}

template <int N, class Update>
__device__ inline void update_elements(const UpdateItem& item, const Update& update, int64_t i, Operands<Update, N> x) {
  using T = typename Update::Value;
  constexpr int states = Update::states;
#pragma unroll
  for (int j = 0; j < N; ++j) {
    Element<T> e = {x.of[0].v[j], x.of[1].v[j], x.of[2].v[j], T(0), T(0)};
    if constexpr (states > 1) e.second = x.of[3].v[j];
    if constexpr (states > 2) e.third = x.of[4].v[j];
    update(item, e);
    x.of[0].v[j] = e.w;
    x.of[2].v[j] = e.first;
    if constexpr (states > 1) x.of[3].v[j] = e.second;
    if constexpr (states > 2) x.of[4].v[j] = e.third;
  }
  store_to<N, T>(item.value, i, x.of[0]);
  store_to<N, T>(item.first, i, x.of[2]);
  if constexpr (states > 1) store_to<N, T>(item.second, i, x.of[3]);
  if constexpr (states > 2) store_to<N, T>(item.third, i, x.of[4]);
}

template <class T>
constexpr int64_t chunk = int64_t{4} * list_threads* pack_size<T>;

template <class Update>
__global__ void update_kernel(WEFT_GRID_CONSTANT List<UpdateItem> list, Update update, const double* gate) {
  using T = typename Update::Value;
  if (gate) {
    if (gate[gate_closed] != 0) return;
    update.scale *= gate[gate_factor];
    update.number(gate[gate_step]);
  }
  for (int64_t c = blockIdx.x; c < list.chunks(); c += gridDim.x) {
    const auto place = list.place(c, chunk<T>);
    const UpdateItem item = list.item[place.k];  // a copy: stores might change what a reference names
    const bool wide = holds_packs<T>(static_cast<const T*>(item.value), static_cast<const T*>(item.gradient),
                                     static_cast<const T*>(item.first), static_cast<const T*>(item.second),
                                     static_cast<const T*>(item.third));
    for_elements<pack_size<T>>(
        place.begin, place.stop, wide, [&](auto n, int64_t i) { return load_elements<Update, n>(item, i); },
        [&](auto n, int64_t i, const auto& operands) { update_elements<n>(item, update, i, operands); });
  }
}

template <class Update>
void update_all(const char* name, int64_t count, const UpdateItem* items, const Update& update, const double* gate,
                Stream stream) {
  for_lists(count, items, chunk<typename Update::Value>, [&](const List<UpdateItem>& list) {
    launch(name, update_kernel<Update>, grid_for_list(list, stream), stream, list, update, gate);
  });
}

template <class T>
void sgd(const SgdUpdateArgs& a, Stream stream) {
  update_all("sgd_update", a.count, a.items, Sgd<T>{a.scale, T(a.momentum), a.nesterov}, a.gate, stream);
}

template <class T>
void adam(const AdamUpdateArgs& a, Stream stream) {
  update_all("adam_update", a.count, a.items,
             Adam<T>{a.scale, a.beta1, a.beta2, T(a.beta1), T(a.beta2), T(a.eps), T(a.correction1), T(a.correction2),
                     a.decoupled},
             a.gate, stream);
}

template <class T>
void rmsprop(const RmspropUpdateArgs& a, Stream stream) {
  update_all("rmsprop_update", a.count, a.items, Rmsprop<T>{a.scale, T(a.alpha), T(a.eps), T(a.momentum)}, a.gate,
             stream);
}

void sgd_update(const SgdUpdateArgs& a, Stream stream) {
  a.dtype == DType::f32 ? sgd<float>(a, stream) : sgd<double>(a, stream);
}

void adam_update(const AdamUpdateArgs& a, Stream stream) {
  a.dtype == DType::f32 ? adam<float>(a, stream) : adam<double>(a, stream);
}

void rmsprop_update(const RmspropUpdateArgs& a, Stream stream) {
  a.dtype == DType::f32 ? rmsprop<float>(a, stream) : rmsprop<double>(a, stream);
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(sgd_update_kernel, weft::cuda::sgd_update);
  WEFT_PLUG(adam_update_kernel, weft::cuda::adam_update);
  WEFT_PLUG(rmsprop_update_kernel, weft::cuda::rmsprop_update);
}
