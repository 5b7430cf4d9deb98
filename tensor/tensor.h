// Tensor: a handle, one pointer wide, to a strided view of a storage. Copies share the view.
//
// Members under "recorded" run through the tape (autograd/methods.cpp defines them): the one place where tensor/
// declares what another layer implements. Everything else, and weft::ops, never records.
#pragma once

#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weft/tensor/dtype.h"
#include "weft/tensor/error.h"
#include "weft/tensor/shape.h"
#include "weft/tensor/storage.h"

namespace weft {

class Tensor;
using Tensors = std::vector<Tensor>;

/// What a leaf does with a gradient: replace the stored one, add to it, or nothing.
enum class GradReq : uint8_t { write, add, null };

/// What the tape hangs on a tensor (autograd::Node); opaque here.
class TapeSlot : public RefCounted {
 public:
  virtual ~TapeSlot() = default;
  virtual void dispose() noexcept = 0;
};
inline void release(TapeSlot* slot) noexcept { slot->dispose(); }

namespace detail {
struct TensorImpl : RefCounted {
  Ref<Storage> storage;
  int64_t offset = 0;  // in elements
  Shape shape;
  Strides strides;
  int64_t numel = 0;
  DType dtype = DType::f32;
  uint32_t slot_index = 0;  // which output of the node
  Ref<TapeSlot> slot;
};
void release(TensorImpl* impl) noexcept;
Ref<TensorImpl> make_impl();
}  // namespace detail

struct TensorOptions {
  DType dtype = DType::f32;
  Device device = current_device();
  bool pinned = false;  ///< host memory that copies to a GPU can read while the host goes on
};
struct ReduceOptions {
  std::vector<int64_t> axes = {};  ///< none: all
  bool keep = false;               ///< keep reduced axes with extent 1
};
struct CopyOptions {
  bool non_blocking =
      false;  ///< the host does not wait; host memory must be pinned and stay unchanged until the copy ran
};
struct BackwardOptions;

class Tensor {
 public:
  Tensor() noexcept = default;
  explicit Tensor(Ref<detail::TensorImpl> impl) noexcept : impl_(std::move(impl)) {}

  bool defined() const { return static_cast<bool>(impl_); }
  const Shape& shape() const { return impl().shape; }
  const Strides& strides() const { return impl().strides; }
  /// Extent of an axis in [-rank, rank).
  int64_t size(int64_t axis) const;
  int rank() const { return impl().shape.rank(); }
  int64_t numel() const { return impl().numel; }
  DType dtype() const { return impl().dtype; }
  Device device() const { return impl().storage->device(); }
  Storage& storage() const { return *impl().storage; }
  bool is_contiguous(Layout layout = Layout::row_major) const { return is_dense(shape(), strides(), layout); }
  /// Address of the first element, on the tensor's device.
  void* raw() const { return static_cast<char*>(impl().storage->data()) + impl().offset * size_of(impl().dtype); }
  /// Typed address; throws DtypeError on another type, ShapeError unless dense in `layout`.
  template <class T>
  T* data(Layout layout = Layout::row_major) const {
    check_data(dtype_of<T>, layout);
    return static_cast<T*>(raw());
  }
  /// The elements in logical order, copied to the host and converted to T. Waits for the device.
  template <class T>
  std::vector<T> to_vector() const;
  /// The only element; throws ShapeError if there are more or none.
  template <class T>
  T item() const;
  /// Waits until the tensor's value is there; asynchronous errors surface here.
  void wait() const;

  // The tape, seen from a tensor.
  /// Makes this tensor a leaf that receives gradients. Returns itself.
  Tensor& attach_grad(GradReq request = GradReq::write);
  /// The stored gradient of a leaf; undefined before the first backward.
  Tensor grad() const;
  void zero_grad() const;
  bool requires_grad() const { return static_cast<bool>(impl().slot); }
  /// The same values without history.
  Tensor detach() const;
  /// From now on `hook` sees each gradient by this tensor, once it is complete, in the thread that computes it; what it
  /// returns, if defined, takes the gradient's place. AutogradError on a tensor that is not tracked.
  void register_hook(std::function<Tensor(const Tensor& gradient)> hook) const;
  void backward() const;
  void backward(const BackwardOptions& options) const;

  // Recorded.
  Tensor sum(const ReduceOptions& options = {}) const;
  Tensor mean(const ReduceOptions& options = {}) const;
  Tensor max(const ReduceOptions& options = {}) const;
  /// One extent may be -1.
  Tensor reshape(const Shape& shape) const;
  Tensor flatten(int64_t from = 0, int64_t to = -1) const;
  Tensor permute(const Dims& order) const;
  Tensor transpose(int64_t a = -2, int64_t b = -1) const;
  Tensor expand(const Shape& shape) const;
  Tensor unsqueeze(int64_t axis) const;
  Tensor squeeze(int64_t axis) const;
  /// Elements start, start + step, … before stop along an axis; negative positions count from the end.
  Tensor slice(int64_t axis, int64_t start, int64_t stop, int64_t step = 1) const;
  /// Element i along axis 0, without that axis.
  Tensor operator[](int64_t i) const;
  Tensor contiguous(Layout layout = Layout::row_major) const;
  Tensor clone() const;
  Tensor to(Device device, const CopyOptions& options = {}) const;
  Tensor to(DType dtype) const;

  // In place, never recorded: throws AutogradError on a tracked tensor while recording.
  Tensor& fill_(double value);
  Tensor& zero_() { return fill_(0); }
  Tensor& copy_(const Tensor& source, const CopyOptions& options = {});
  Tensor& add_(const Tensor& other, double scale = 1);
  Tensor& mul_(double factor);

  detail::TensorImpl& impl() const {
    if (!impl_) [[unlikely]]
      undefined();
    return *impl_;
  }
  bool same(const Tensor& other) const { return impl_ == other.impl_; }

 private:
  [[noreturn]] static void undefined();
  void check_data(DType dtype, Layout layout) const;
  Ref<detail::TensorImpl> impl_;
};

/// Uninitialised. The default stream order is the current stream of the device.
Tensor empty(const Shape& shape, const TensorOptions& options = {}, Layout layout = Layout::row_major);
Tensor empty_like(const Tensor& x);  ///< same shape, dtype, device; dense strides in the order of x's
Tensor full(const Shape& shape, double value, const TensorOptions& options = {});
Tensor zeros(const Shape& shape, const TensorOptions& options = {});
Tensor ones(const Shape& shape, const TensorOptions& options = {});
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
/// start, start + step, … below stop.
Tensor arange(double start, double stop, double step = 1, const TensorOptions& options = {});

/// From host values; the shape follows the nesting. Copies.
template <class T>
Tensor tensor(const std::vector<T>& values, const Shape& shape, Device device = current_device());
template <class T>
Tensor tensor(std::initializer_list<T> values, Device device = current_device()) {
  return tensor(std::vector<T>(values), {static_cast<int64_t>(values.size())}, device);
}
template <class T>
Tensor tensor(std::initializer_list<std::initializer_list<T>> rows, Device device = current_device());
template <class T>
requires std::is_arithmetic_v<T> Tensor tensor(T value, Device device = current_device()) {
  return tensor(std::vector<T>{value}, Shape{}, device);
}

struct BlobOptions {
  DType dtype = DType::f32;
  Device device = "cpu";
  Strides strides = {};  ///< in elements; empty: row-major
  std::function<void(void*)> deleter = {};
};
/// A view of foreign memory; the caller keeps it alive or gives a deleter.
Tensor from_blob(void* data, const Shape& shape, const BlobOptions& options = {});

/// As NumPy prints, with dtype and device in the last line; large tensors are summarised.
std::string to_string(const Tensor& x);
std::ostream& operator<<(std::ostream& out, const Tensor& x);

namespace ops {
/// A view of x's storage. No checks beyond debug asserts: for operations that computed the geometry.
Tensor view(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset);
/// Uninitialised, with given gap-free strides. No checks.
Tensor empty_strided(const Shape& shape, const Strides& strides, DType dtype, Device device);
}  // namespace ops

}  // namespace weft

#include "weft/tensor/tensor_inl.h"
