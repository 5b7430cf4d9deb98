#include "weft/tensor/tensor.h"

#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/small_pool.h"

namespace weft {

namespace detail {

Ref<TensorImpl> make_impl() { return Ref<TensorImpl>(new (small_allocate(sizeof(TensorImpl))) TensorImpl); }

void release(TensorImpl* impl) noexcept {
  impl->~TensorImpl();
  small_deallocate(impl, sizeof(TensorImpl));
}

void copy_to_host(const Tensor& x, DType dtype, void* host) {
  if (x.numel() == 0) return;
  // Convert where the data lies, then move: the smaller of two ways for one extra buffer.
  const Tensor converted = ops::contiguous(ops::cast(x, dtype));
  const Tensor target = from_blob(host, x.shape(), {.dtype = dtype});
  ops::copy(target, converted);
}

Tensor copy_from_host(const void* host, const Shape& shape, DType dtype, Device device) {
  Tensor x = empty(shape, {.dtype = dtype, .device = device});
  if (x.numel() > 0) ops::copy(x, from_blob(const_cast<void*>(host), shape, {.dtype = dtype}));
  return x;
}

}  // namespace detail

namespace {

// Checked product of elements and element size.
size_t bytes_of(int64_t numel, DType dtype) {
  WEFT_CHECK(ShapeError, numel <= (int64_t{1} << 62) / size_of(dtype), "empty: ", numel, " elements of ", dtype,
             " exceed 2^62 bytes");
  return static_cast<size_t>(numel * size_of(dtype));
}

Tensor make(const Shape& shape, const Strides& strides, int64_t numel, DType dtype, Stream stream, bool pinned) {
  auto impl = detail::make_impl();
  impl->storage = allocate_storage(bytes_of(numel, dtype), stream, pinned);
  impl->shape = shape;
  impl->strides = strides;
  impl->numel = numel;
  impl->dtype = dtype;
  return Tensor(std::move(impl));
}

}  // namespace

int64_t Tensor::size(int64_t axis) const { return shape()[normalize_axis("size", axis, rank())]; }

void Tensor::wait() const { current_stream(device()).synchronize(); }

void Tensor::undefined() {
  fail<Error>("tensor: this tensor is undefined (default-constructed or moved from); assign one before using it");
}

void Tensor::check_data(DType wanted, Layout layout) const {
  WEFT_CHECK(DtypeError, dtype() == wanted, "data: the tensor holds ", dtype(), ", not ", wanted,
             "; convert with .to(dtype)");
  WEFT_CHECK(ShapeError, is_contiguous(layout), "data: a tensor of shape ", shape(), " and strides ", strides(),
             " is not dense in ", layout == Layout::row_major ? "row-major" : "channels-last",
             " order; use .contiguous(layout)");
}

Tensor empty(const Shape& shape, const TensorOptions& options, Layout layout) {
  const int64_t numel = numel_of(shape, "empty");
  check_exists(options.device);
  return make(shape, strides_of(shape, layout), numel, options.dtype, current_stream(options.device), options.pinned);
}

Tensor empty_like(const Tensor& x) {
  const bool dense = is_permuted_dense(x.shape(), x.strides());
  const Strides strides = dense ? x.strides() : ops::dense_strides_in_order_of(x);
  return make(x.shape(), strides, x.numel(), x.dtype(), current_stream(x.device()), false);
}

Tensor ops::empty_strided(const Shape& shape, const Strides& strides, DType dtype, Device device) {
  return make(shape, strides, numel_of(shape, "empty"), dtype, current_stream(device), false);
}

Tensor full(const Shape& shape, double value, const TensorOptions& options) {
  Tensor x = empty(shape, options);
  ops::fill(x, value);
  return x;
}

Tensor zeros(const Shape& shape, const TensorOptions& options) { return full(shape, 0, options); }
Tensor ones(const Shape& shape, const TensorOptions& options) { return full(shape, 1, options); }

Tensor zeros_like(const Tensor& x) {
  Tensor y = empty_like(x);
  ops::fill(y, 0);
  return y;
}

Tensor ones_like(const Tensor& x) {
  Tensor y = empty_like(x);
  ops::fill(y, 1);
  return y;
}

Tensor arange(double start, double stop, double step, const TensorOptions& options) {
  return ops::arange(start, stop, step, options);
}

Tensor from_blob(void* data, const Shape& shape, const BlobOptions& options) {
  const int64_t numel = numel_of(shape, "from_blob");
  check_exists(options.device);
  const Strides strides = options.strides.empty() ? strides_of(shape) : options.strides;
  WEFT_CHECK(ShapeError, strides.rank() == shape.rank(), "from_blob: shape ", shape, " with strides ", strides);
  WEFT_CHECK(Error, data || numel == 0, "from_blob: null pointer for shape ", shape);
  int64_t last = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    WEFT_CHECK(ShapeError, strides[i] >= 0, "from_blob: negative stride in ", strides);
    last += (shape[i] - 1) * strides[i];
  }
  auto impl = detail::make_impl();
  impl->storage = adopt_storage(data, numel ? bytes_of(last + 1, options.dtype) : 0, options.device, options.deleter);
  impl->shape = shape;
  impl->strides = strides;
  impl->numel = numel;
  impl->dtype = options.dtype;
  return Tensor(std::move(impl));
}

Tensor ops::view(const Tensor& x, const Shape& shape, const Strides& strides, int64_t offset) {
  auto impl = detail::make_impl();
  impl->storage = x.impl().storage;
  impl->offset = offset;
  impl->shape = shape;
  impl->strides = strides;
  impl->numel = numel_of(shape, "view");
  impl->dtype = x.dtype();
  return Tensor(std::move(impl));
}

}  // namespace weft
