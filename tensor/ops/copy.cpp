#include "weft/tensor/ops/copy.h"

#include <algorithm>

#include "weft/tensor/ops/elementwise.h"
#include "weft/tensor/ops/work.h"

namespace weft {

WEFT_KERNEL(CopyArgs, copy_kernel);

namespace ops {

namespace {

Strides kept_strides(const Tensor& x) {
  return is_permuted_dense(x.shape(), x.strides()) ? x.strides() : strides_of(x.shape());
}

// x has y's shape or broadcasts to it; both lie where one device's kernel reaches them.
void copy_within(const Tensor& y, const Tensor& x) {
  const Strides strides[] = {y.strides(), broadcast_strides(x, y.shape())};
  const Geometry geometry(y.shape(), strides);
  profile_work(copy_kernel, x, y);
  copy_kernel({x.dtype(), y.dtype(), y.numel(), x.raw(), y.raw(), geometry.pointer()}, current_stream(y.device()));
}

// A copy with y's shape and strides, on x's device, of the given dtype.
Tensor laid_out_like(const Tensor& y, const Tensor& x, DType dtype) {
  Tensor staged = empty_strided(y.shape(), y.strides(), dtype, x.device());
  copy_within(staged, x);
  return staged;
}

bool ready_to_move(const Tensor& y, const Tensor& x, DType dtype) {
  if (x.dtype() != dtype || x.shape() != y.shape()) return false;
  for (int i = 0; i < x.rank(); ++i)
    if (x.shape()[i] != 1 && x.strides()[i] != y.strides()[i]) return false;
  return true;
}

// Whether the host waits for a copy on the GPU's stream from or to its memory, which may be page-locked without the
// storage knowing: from_blob() takes any.
bool must_wait(const Tensor& y, const Tensor& x, Stream stream, const CopyOptions& options) {
  const Tensor& host = x.device().is_cpu() ? x : y;
  if (host.storage().pinned()) return !options.non_blocking;  // its pool knows of the copy
  return y.device().is_cpu() || backend(stream.device.type).is_page_locked(x.raw(), stream.device.index);
}

// The bytes of x, which lies exactly as y does, moved from one device to another.
void move_bytes(const Tensor& y, const Tensor& x, const CopyOptions& options) {
  const Device from = x.device(), to = y.device();
  const Stream source = current_stream(from), target = current_stream(to);
  const size_t bytes = static_cast<size_t>(y.numel() * size_of(y.dtype()));
  // The copy runs in the order of the target, of the only GPU's stream where the other side is the host.
  const Stream stream = to.is_cpu() ? source : target;
  if (!from.is_cpu() && !to.is_cpu()) {
    Event written;
    written.record(source);
    target.wait(written);
  }
  const bool host_waits = (from.is_cpu() || to.is_cpu()) && must_wait(y, x, stream, options);
  {
    const detail::ProfileScope scope(from, to, stream, static_cast<int64_t>(bytes));
    backend(stream.device.type).copy(y.raw(), to, x.raw(), from, bytes, stream);
  }
  if (from.is_cpu() || to.is_cpu()) {
    if (host_waits) stream.synchronize();
  } else {
    // What the source's stream does next may overwrite x, or free it. Without an event only the host can wait.
    try {
      Event copied;
      copied.record(target);
      source.wait(copied);
    } catch (...) {
      target.synchronize();
      throw;
    }
  }
}

// To another device: converted where elements are fewer bytes, laid out on the source, moved, and spread out if y has
// gaps.
void copy_across(const Tensor& y, const Tensor& x, const CopyOptions& options) {
  if (!is_permuted_dense(y.shape(), y.strides()) || size_of(y.dtype()) > size_of(x.dtype())) {
    const Tensor received =
        empty_strided(y.shape(), kept_strides(y), x.dtype(), y.device());  // not pinned: complete on return
    copy_across(received, x, options);
    return copy_within(y, received);
  }
  if (ready_to_move(y, x, y.dtype())) return move_bytes(y, x, options);
  move_bytes(y, laid_out_like(y, x, y.dtype()), options);
}

void check_copy(const char* name, const Tensor& y, const Tensor& x) {
  check_writable(name, y);
  WEFT_CHECK(ShapeError, y.shape() == x.shape() || broadcast(name, y.shape(), x.shape()) == y.shape(), name, ": shape ",
             x.shape(), " does not fit into ", y.shape());
}

void copy_unchecked(const Tensor& y, const Tensor& x, const CopyOptions& options) {
  if (y.numel() == 0) return;
  if (y.device() == x.device()) return copy_within(y, apart_from(y, x));
  if (!y.device().is_cpu() || !x.device().is_cpu()) return copy_across(y, x, options);
  const detail::ProfileScope scope(x.device(), y.device(), current_stream(y.device()), y.numel() * size_of(y.dtype()));
  copy_within(y, apart_from(y, x));
}

}  // namespace

void check_writable(const char* name, const Tensor& y) {
  if (is_permuted_dense(y.shape(), y.strides()) || y.numel() == 0) return;
  // Sorted by stride, each dimension must step over all that the smaller ones reach.
  std::pair<int64_t, int64_t> dims[max_rank];  // stride, extent
  int rank = 0;
  for (int i = 0; i < y.rank(); ++i)
    if (y.shape()[i] > 1) dims[rank++] = {y.strides()[i], y.shape()[i]};
  std::stable_sort(dims, dims + rank);
  int64_t reach = 0;
  for (int i = 0; i < rank; ++i) {
    WEFT_CHECK(ShapeError, dims[i].first > reach, name, ": elements of the destination share memory (shape ", y.shape(),
               ", strides ", y.strides(), "); write into a copy, as .clone() makes");
    reach += dims[i].first * (dims[i].second - 1);
  }
}

void copy(const Tensor& y, const Tensor& x) { copy(y, x, {}); }
void copy(const Tensor& y, const Tensor& x, const CopyOptions& options) {
  check_copy("copy", y, x);
  copy_unchecked(y, x, options);
}

void copy_(const Tensor& y, const Tensor& x) { copy_(y, x, {}, "copy_"); }
void copy_(const Tensor& y, const Tensor& x, const CopyOptions& options, const char* name) {
  check_copy(name, y, x);
  y.storage().bump_version(name);
  copy_unchecked(y, x, options);
}

Tensor to(const Tensor& x, Device device) { return to(x, device, {}); }
Tensor to(const Tensor& x, Device device, const CopyOptions& options) {
  if (x.device() == device) return x;
  check_exists(device);
  Tensor y = empty_strided(x.shape(), kept_strides(x), x.dtype(), device);
  copy_unchecked(y, x, options);
  return y;
}

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  Tensor y = empty_strided(x.shape(), kept_strides(x), dtype, x.device());
  copy_unchecked(y, x, {});
  return y;
}

Tensor clone(const Tensor& x) {
  Tensor y = empty_strided(x.shape(), kept_strides(x), x.dtype(), x.device());
  copy_unchecked(y, x, {});
  return y;
}

}  // namespace ops
}  // namespace weft
