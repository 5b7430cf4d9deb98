// Optimizer updates on the CPU: one pass over each tensor.
#include "weft/tensor/ops/optimizer_update.h"

#include "weft/tensor/cpu/loops.h"
#include "weft/tensor/math.h"
#include "weft/tensor/ops/loss_scale.h"

namespace weft {
namespace {

constexpr int64_t grain = 1 << 14;  // elements worth a thread

// The arguments behind a gate that is open.
template <class Args>
WEFT_INLINE Args opened(const Args& a) {
  Args open = a;
  if (a.gate) open.scale *= a.gate[gate_factor];
  return open;
}
template <class Args>
WEFT_INLINE bool closed(const Args& a) {
  return a.gate && a.gate[gate_closed] != 0;
}

template <class T>
void sgd(const SgdUpdateArgs& a, const UpdateItem& item) {
  T* w = static_cast<T*>(item.value);
  T* m = static_cast<T*>(item.first);
  const T* g = static_cast<const T*>(item.gradient);
  const T lr = T(item.lr), decay = T(item.decay), momentum = T(a.momentum), scale = T(a.scale);
  const bool nesterov = a.nesterov;
  parallel_for(item.numel, grain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T d = g[i] * scale + decay * w[i];
      if (m) {
        const T moved = momentum * m[i] + d;
        m[i] = moved;
        d = nesterov ? d + momentum * moved : moved;
      }
      w[i] -= lr * d;
    }
  });
}

template <class T>
void adam(const AdamUpdateArgs& a, const UpdateItem& item) {
  T* w = static_cast<T*>(item.value);
  T* m = static_cast<T*>(item.first);
  T* v = static_cast<T*>(item.second);
  const T* g = static_cast<const T*>(item.gradient);
  const T b1 = T(a.beta1), b2 = T(a.beta2), eps = T(a.eps), scale = T(a.scale);
  const T rate = T(item.lr / a.correction1), root = T(1 / a.correction2);
  const T added = T(a.decoupled ? 0 : item.decay), kept = T(a.decoupled ? 1 - item.lr * item.decay : 1);
  parallel_for(item.numel, grain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T d = g[i] * scale + added * w[i];
      m[i] = b1 * m[i] + (1 - b1) * d;
      v[i] = b2 * v[i] + (1 - b2) * d * d;
      w[i] = kept * w[i] - rate * m[i] / (math::sqrt(v[i] * root) + eps);
    }
  });
}

template <class T>
void rmsprop(const RmspropUpdateArgs& a, const UpdateItem& item) {
  T* w = static_cast<T*>(item.value);
  T* s = static_cast<T*>(item.first);
  T* mean = static_cast<T*>(item.second);
  T* m = static_cast<T*>(item.third);
  const T* g = static_cast<const T*>(item.gradient);
  const T lr = T(item.lr), decay = T(item.decay), scale = T(a.scale);
  const T alpha = T(a.alpha), eps = T(a.eps), momentum = T(a.momentum);
  parallel_for(item.numel, grain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      T d = g[i] * scale + decay * w[i];
      s[i] = alpha * s[i] + (1 - alpha) * d * d;
      T square = s[i];
      if (mean) {
        mean[i] = alpha * mean[i] + (1 - alpha) * d;
        square -= mean[i] * mean[i];
      }
      d /= math::sqrt(square > 0 ? square : T(0)) + eps;
      if (m) d = m[i] = momentum * m[i] + d;
      w[i] -= lr * d;
    }
  });
}

void sgd_update(const SgdUpdateArgs& given, Stream) {
  if (closed(given)) return;
  const SgdUpdateArgs a = opened(given);
  for (int64_t k = 0; k < a.count; ++k)
    if (a.dtype == DType::f32)
      sgd<float>(a, a.items[k]);
    else
      sgd<double>(a, a.items[k]);
}

void adam_update(const AdamUpdateArgs& given, Stream) {
  if (closed(given)) return;
  AdamUpdateArgs a = opened(given);
  if (a.gate) {
    a.correction1 = 1 - math::pow(a.beta1, a.gate[gate_step]);
    a.correction2 = 1 - math::pow(a.beta2, a.gate[gate_step]);
  }
  for (int64_t k = 0; k < a.count; ++k)
    if (a.dtype == DType::f32)
      adam<float>(a, a.items[k]);
    else
      adam<double>(a, a.items[k]);
}

void rmsprop_update(const RmspropUpdateArgs& given, Stream) {
  if (closed(given)) return;
  const RmspropUpdateArgs a = opened(given);
  for (int64_t k = 0; k < a.count; ++k)
    if (a.dtype == DType::f32)
      rmsprop<float>(a, a.items[k]);
    else
      rmsprop<double>(a, a.items[k]);
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(weft::sgd_update_kernel, weft::sgd_update);
  WEFT_PLUG(weft::adam_update_kernel, weft::adam_update);
  WEFT_PLUG(weft::rmsprop_update_kernel, weft::rmsprop_update);
}
