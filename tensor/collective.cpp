#include "weft/tensor/collective.h"

#include <array>
#include <atomic>

#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/concat.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/view.h"
#include "weft/tensor/profile_scope.h"

namespace weft {

namespace {

constinit std::array<std::atomic<Communicator*>, device_types> communicators = {};

// The communicator, if all ranks are different devices of one kind that has one.
Communicator* communicator_of(std::span<const Tensor> x) {
  for (size_t i = 0; i < x.size(); ++i)
    for (size_t j = 0; j <= i; ++j)
      if (x[i].device().type != x[0].device().type || (i != j && x[i].device() == x[j].device())) return nullptr;
  return communicators[static_cast<size_t>(x[0].device().type)].load(std::memory_order_acquire);
}

void check_ranks(const char* operation, std::span<const Tensor> x, bool same_shape) {
  WEFT_CHECK(CommError, !x.empty(), operation, ": no ranks");
  for (size_t i = 1; i < x.size(); ++i) {
    WEFT_CHECK(DtypeError, x[i].dtype() == x[0].dtype(), operation, ": rank 0 has ", x[0].dtype(), ", rank ", i, " ",
               x[i].dtype());
    WEFT_CHECK(ShapeError, !same_shape || x[i].shape() == x[0].shape(), operation, ": rank 0 has shape ", x[0].shape(),
               ", rank ", i, " ", x[i].shape());
  }
}

void check_extents(const char* operation, const Shape& shape, int axis, std::span<const int64_t> extents,
                   size_t ranks) {
  WEFT_CHECK(CommError, extents.size() == ranks, operation, ": ", extents.size(), " extents for ", ranks, " devices");
  int64_t sum = 0;
  for (const int64_t extent : extents) {
    WEFT_CHECK(ShapeError, extent >= 0, operation, ": a part of extent ", extent);
    sum += extent;
  }
  WEFT_CHECK(ShapeError, sum == shape[axis], operation, ": extents add up to ", sum, ", axis ", axis, " of shape ",
             shape, " does not");
}

std::vector<Device> devices_of(std::span<const Tensor> x) {
  std::vector<Device> devices;
  for (const Tensor& t : x) devices.push_back(t.device());
  return devices;
}

// Pairs of neighbours, then pairs of pairs: the shape of the tree depends on the number of ranks alone.
Tensor tree_sum(std::span<const Tensor> x, Device device) {
  if (x.size() == 1) return ops::to(x[0], device);
  size_t half = 1;
  while (half * 2 < x.size()) half *= 2;
  return ops::add(tree_sum(x.first(half), device), tree_sum(x.subspan(half), device));
}

// What a collective moves or sums: all ranks' tensors.
int64_t bytes_of(std::span<const Tensor> x) {
  int64_t bytes = 0;
  for (const Tensor& t : x) bytes += t.numel() * size_of(t.dtype());
  return bytes;
}

}  // namespace

void register_communicator(DeviceType type, Communicator* communicator) noexcept {
  communicators[static_cast<size_t>(type)].store(communicator, std::memory_order_release);
}

namespace ops {

Tensor reduce(std::span<const Tensor> x, Device device) {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "reduce", bytes_of(x));
  check_ranks("reduce", x, true);
  return x.size() == 1 ? clone(to(x[0], device)) : tree_sum(x, device);
}

Tensors broadcast(const Tensor& x, std::span<const Device> devices) {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "broadcast", bytes_of({&x, 1}));
  Tensors copies;
  for (const Device device : devices) copies.push_back(device == x.device() ? clone(x) : to(x, device));
  return copies;
}

Tensors all_reduce(std::span<const Tensor> x, Order order) {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "all_reduce", bytes_of(x));
  check_ranks("all_reduce", x, true);
  if (order == Order::fastest && x.size() > 1) {
    if (Communicator* communicator = communicator_of(x)) {
      Tensors y;
      for (const Tensor& t : x) y.push_back(empty_like(t));
      if (communicator->all_reduce(x, y)) return y;
    }
  }
  const std::vector<Device> devices = devices_of(x);
  const Tensor sum = reduce(x, devices[0]);
  Tensors y{sum};
  for (const Tensor& t : broadcast(sum, std::span(devices).subspan(1))) y.push_back(t);
  return y;
}

Tensor gather(std::span<const Tensor> x, Device device, int64_t axis) {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "gather", bytes_of(x));
  check_ranks("gather", x, false);
  Tensors here;
  for (const Tensor& t : x) here.push_back(to(t, device));
  return concat(here, axis);
}

Tensors all_gather(std::span<const Tensor> x, int64_t axis) {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "all_gather", bytes_of(x));
  check_ranks("all_gather", x, false);
  const std::vector<Device> devices = devices_of(x);
  Tensors y{gather(x, devices[0], axis)};
  for (const Tensor& t : broadcast(y[0], std::span(devices).subspan(1))) y.push_back(t);
  return y;
}

Tensors reduce_scatter(std::span<const Tensor> x, std::span<const int64_t> extents, int64_t axis) {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "reduce_scatter", bytes_of(x));
  check_ranks("reduce_scatter", x, true);
  const int a = normalize_axis("reduce_scatter", axis, x[0].rank());
  check_extents("reduce_scatter", x[0].shape(), a, extents, x.size());
  Tensors sums;
  int64_t start = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    Tensors parts;
    for (const Tensor& t : x) parts.push_back(slice(t, a, start, start + extents[i]));
    sums.push_back(reduce(parts, x[i].device()));
    start += extents[i];
  }
  return sums;
}

Tensors scatter(const Tensor& x, std::span<const Device> devices, std::span<const int64_t> extents, int64_t axis) {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "scatter", bytes_of({&x, 1}));
  const int a = normalize_axis("scatter", axis, x.rank());
  check_extents("scatter", x.shape(), a, extents, devices.size());
  Tensors parts;
  int64_t start = 0;
  for (size_t i = 0; i < devices.size(); ++i) {
    const Tensor part = slice(x, a, start, start + extents[i]);
    parts.push_back(devices[i] == x.device() ? clone(part) : to(part, devices[i]));
    start += extents[i];
  }
  return parts;
}

}  // namespace ops
}  // namespace weft
