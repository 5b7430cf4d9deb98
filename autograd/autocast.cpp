#include "weft/autograd/autocast.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "weft/autograd/ops/copy.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/copy.h"

namespace weft::autograd {

namespace {

constinit thread_local const CastState* in_force = nullptr;  // null: none

bool is_half(DType t) { return t == DType::f16 || t == DType::bf16; }

}  // namespace

// Values of parameters in other types, without history: what a backward pass used up of one use cannot hurt another,
// and gradients of several uses are summed in the parameter's own type. Ranks that share a value share its cast.
class CastCache {
 public:
  Tensor cast(const Tensor& x, DType dtype) {
    const Key key{&x.storage(), x.impl().offset, dtype, current_stream(x.device()).id};
    const uint32_t version = x.storage().version();
    {
      const std::lock_guard lock(mutex_);
      const auto found = entries_.find(key);
      if (found != entries_.end() && found->second.fits(x, version)) return found->second.cast;
    }
    const Tensor y = ops::cast(x.detach(), dtype);
    const std::lock_guard lock(mutex_);
    entries_.insert_or_assign(key, Entry{x.detach(), version, y});
    return y;
  }

 private:
  struct Key {
    const Storage* storage;
    int64_t offset;
    DType dtype;
    uint64_t stream;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const {
      return std::hash<const void*>()(key.storage) ^
             std::hash<int64_t>()(key.offset * 31 + static_cast<int>(key.dtype)) ^
             std::hash<uint64_t>()(key.stream << 20);
    }
  };
  struct Entry {
    Tensor source;  // keeps the storage, so that its address means no other
    uint32_t version;
    Tensor cast;

    bool fits(const Tensor& x, uint32_t now) const {
      return version == now && source.shape() == x.shape() && source.strides() == x.strides();
    }
  };

  std::mutex mutex_;
  std::unordered_map<Key, Entry, Hash> entries_;
};

bool CastState::any() const {
  return std::any_of(types_.begin(), types_.end(), [](const auto& type) { return type.has_value(); });
}

CastState CastState::current() { return in_force ? *in_force : CastState(); }

CastState CastState::without_cache() const {
  CastState state = *this;
  state.cache_ = nullptr;
  return state;
}

CastGuard::CastGuard(CastState next) : state_(std::move(next)), previous_(in_force) {
  in_force = state_.any() ? &state_ : nullptr;
}

CastGuard::~CastGuard() { in_force = previous_; }

CastState Autocast::entered(DType dtype, const AutocastOptions& options) {
  WEFT_CHECK(DtypeError, is_half(dtype), "Autocast: ", dtype, " is not a 16-bit type; use bfloat16 or float16");
  CastState state = CastState::current();
  for (int type = 0; type < device_types; ++type)
    if (!options.device_type || static_cast<int>(*options.device_type) == type)
      state.types_[static_cast<size_t>(type)] = options.enabled ? std::optional(dtype) : std::nullopt;
  if (!options.cache)
    state.cache_ = nullptr;
  else if (!state.cache_)
    state.cache_ = std::make_shared<CastCache>();
  return state;
}

Autocast::Autocast(DType dtype, const AutocastOptions& options) : CastGuard(entered(dtype, options)) {}

bool is_autocasting() noexcept { return in_force != nullptr; }

Tensor for_product(const Tensor& x) {
  if (!in_force || !x.defined()) return x;
  const std::optional<DType> type = in_force->product(x.device().type);
  if (!type || x.dtype() == *type || !(x.dtype() == DType::f32 || is_half(x.dtype()))) return x;
  if (!in_force->cache() || !leaf_of(x)) return to(x, *type);
  const Tensor y = in_force->cache()->cast(x, *type);
  if (!tracked(x)) return y;
  return record("to", y.detach(), edge(x, [from = x.dtype()](const Tensor& dy) { return to(dy, from); }));
}

Tensor in_full(const Tensor& x) {
  if (!in_force || !x.defined() || !is_half(x.dtype()) || !in_force->product(x.device().type)) return x;
  return to(x, DType::f32);
}

Tensor as_wide_as(const Tensor& x, const Tensor& other) {
  if (!in_force || !x.defined() || !other.defined() || !in_force->product(x.device().type)) return x;
  const auto joins = [](DType t) { return t == DType::f32 || is_half(t); };
  return joins(x.dtype()) && joins(other.dtype()) ? to(x, promote(x.dtype(), other.dtype())) : x;
}

}  // namespace weft::autograd
