// Optimizer updates: many tensors in one launch. The list travels in the kernel's arguments, in chunks that fit there.
#include "weft/tensor/ops/optimizer_update.h"

#include "weft/cuda/launch.cuh"
#include "weft/tensor/math.h"
#include "weft/tensor/ops/loss_scale.h"

namespace weft::cuda {
namespace {

constexpr int chunk = 32;  // items of one launch: 32 * 64 bytes of the 4 KiB that arguments may take

struct Items {
  UpdateItem item[chunk];
  int count;
  int64_t elements;  // of all
};

template <class T>
struct Sgd {
  double scale;
  T momentum;
  bool nesterov;

  __device__ void number(double) {}
  __device__ void operator()(const UpdateItem& item, int64_t i) const {
    T* w = static_cast<T*>(item.value);
    T* m = static_cast<T*>(item.first);
    T d = static_cast<const T*>(item.gradient)[i] * T(scale) + T(item.decay) * w[i];
    if (m) {
      const T moved = momentum * m[i] + d;
      m[i] = moved;
      d = nesterov ? d + momentum * moved : moved;
    }
    w[i] -= T(item.lr) * d;
  }
};

template <class T>
struct Adam {
  double scale, decay1, decay2;  // of the moments
  T beta1, beta2, eps, correction1, correction2;
  bool decoupled;

  __device__ void number(double step) {
    correction1 = T(1 - math::pow(decay1, step));
    correction2 = T(1 - math::pow(decay2, step));
  }
  __device__ void operator()(const UpdateItem& item, int64_t i) const {
    T* w = static_cast<T*>(item.value);
    T* m = static_cast<T*>(item.first);
    T* v = static_cast<T*>(item.second);
    const T lr = T(item.lr), decay = T(item.decay);
    const T d = static_cast<const T*>(item.gradient)[i] * T(scale) + (decoupled ? T(0) : decay) * w[i];
    m[i] = beta1 * m[i] + (1 - beta1) * d;
    v[i] = beta2 * v[i] + (1 - beta2) * d * d;
    w[i] =
        (decoupled ? 1 - lr * decay : T(1)) * w[i] - lr / correction1 * m[i] / (math::sqrt(v[i] / correction2) + eps);
  }
};

template <class T>
struct Rmsprop {
  double scale;
  T alpha, eps, momentum;

  __device__ void number(double) {}
  __device__ void operator()(const UpdateItem& item, int64_t i) const {
    T* w = static_cast<T*>(item.value);
    T* s = static_cast<T*>(item.first);
    T* mean = static_cast<T*>(item.second);
    T* m = static_cast<T*>(item.third);
    T d = static_cast<const T*>(item.gradient)[i] * T(scale) + T(item.decay) * w[i];
    T square = alpha * s[i] + (1 - alpha) * d * d;
    s[i] = square;
    if (mean) {
      const T moved = alpha * mean[i] + (1 - alpha) * d;
      mean[i] = moved;
      square -= moved * moved;
    }
    d /= math::sqrt(square > 0 ? square : T(0)) + eps;
    if (m) {
      d += momentum * m[i];
      m[i] = d;
    }
    w[i] -= T(item.lr) * d;
  }
};

template <class Update>
__global__ void update_kernel(Items items, Update update, const double* gate) {
  if (gate) {
    if (gate[gate_closed] != 0) return;
    update.scale *= gate[gate_factor];
    update.number(gate[gate_step]);
  }
  for (int k = 0; k < items.count; ++k)
    for (int64_t i = thread_in_grid(); i < items.item[k].numel; i += threads_in_grid()) update(items.item[k], i);
}

template <class Update>
void update_all(const char* name, int64_t count, const UpdateItem* list, const Update& update, const double* gate,
                Stream stream) {
  for (int64_t start = 0; start < count; start += chunk) {
    Items items{};
    for (int64_t k = start; k < count && items.count < chunk; ++k) {
      items.item[items.count++] = list[k];
      items.elements += list[k].numel;
    }
    launch(name, update_kernel<Update>, grid_for(items.elements, stream), stream, items, update, gate);
  }
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
