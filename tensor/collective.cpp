// Collectives by copies and sums, or by a communicator. One file although it is long: each operation is both, by one
// choice.
#include "weft/tensor/collective.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "weft/tensor/ops/concat.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/tree_sum.h"
#include "weft/tensor/ops/view.h"
#include "weft/tensor/profile_scope.h"

namespace weft {

namespace {

constinit std::array<std::atomic<Communicator*>, device_types> communicators = {};
constinit std::array<std::atomic<int64_t>, device_types> taken_count = {};
constinit std::atomic<double> deadline{CommOptions().deadline.count()};
constinit std::atomic<double> abort_deadline{CommOptions().abort_deadline.count()};

Communicator* communicator_of(DeviceType type) {
  return communicators[static_cast<size_t>(type)].load(std::memory_order_acquire);
}

// The communicator, if all are different devices, more than one, of one kind that has one.
Communicator* communicator_of(std::span<const Device> devices) {
  if (devices.size() < 2) return nullptr;
  for (size_t i = 0; i < devices.size(); ++i)
    for (size_t j = 0; j <= i; ++j)
      if (devices[i].type != devices[0].type || (i != j && devices[i] == devices[j])) return nullptr;
  return communicator_of(devices[0].type);
}

bool contains(std::span<const Device> devices, Device device) {
  return std::find(devices.begin(), devices.end(), device) != devices.end();
}

bool taken(DeviceType type, bool by_communicator) {
  if (by_communicator) taken_count[static_cast<size_t>(type)].fetch_add(1, std::memory_order_relaxed);
  return by_communicator;
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

// What a collective moves or sums: all ranks' tensors.
int64_t bytes_of(std::span<const Tensor> x) {
  int64_t bytes = 0;
  for (const Tensor& t : x) bytes += t.numel() * size_of(t.dtype());
  return bytes;
}

Tensor flat(const Tensor& dense) { return ops::view(dense, {dense.numel()}, {1}, dense.impl().offset); }

// All x with the same strides, gap-free: what a communicator sends is memory.
Tensors alike(std::span<const Tensor> x) {
  Tensors dense{ops::dense_like(x[0])};
  for (const Tensor& t : x.subspan(1)) dense.push_back(ops::with_strides_of(t, dense[0]));
  return dense;
}

Tensor like(const Tensor& x, Device device) { return ops::empty_strided(x.shape(), x.strides(), x.dtype(), device); }

// All x, flat and one after the other, on each of their devices; nothing if the communicator declines.
Tensors gathered(Communicator& communicator, std::span<const Tensor> x) {
  int64_t total = 0;
  for (const Tensor& t : x) total += t.numel();
  Tensors y;
  for (const Tensor& t : x) y.push_back(empty({total}, {.dtype = t.dtype(), .device = t.device()}));
  if (!taken(x[0].device().type, communicator.all_gather(x, y))) y.clear();
  return y;
}

// The ranks of every device, the devices in order of their first rank.
struct Places {
  std::vector<Device> devices;
  std::vector<std::vector<size_t>> ranks;

  explicit Places(std::span<const Tensor> x) {
    for (size_t rank = 0; rank < x.size(); ++rank) {
      const auto place = std::find(devices.begin(), devices.end(), x[rank].device()) - devices.begin();
      if (place == std::ssize(devices)) {
        devices.push_back(x[rank].device());
        ranks.emplace_back();
      }
      ranks[static_cast<size_t>(place)].push_back(rank);
    }
  }
};

// all_reduce by the tree: every device gets all x and sums them itself. Nothing if there is no communicator for it.
Tensors gathered_tree_sums(std::span<const Tensor> x) {
  const Places places(x);
  Communicator* communicator = communicator_of(places.devices);
  if (!communicator) return {};
  const Tensors dense = alike(x);
  const int64_t numel = dense[0].numel();
  Tensors stacks;  // per device: its ranks' x
  for (const auto& ranks : places.ranks) {
    Tensors here;
    for (const size_t rank : ranks) here.push_back(flat(dense[rank]));
    stacks.push_back(here.size() == 1 ? here[0] : ops::concat(here, 0));
  }
  const Tensors all = gathered(*communicator, stacks);
  Tensors y(all.empty() ? 0 : x.size());
  for (size_t place = 0; place < all.size(); ++place) {
    Tensors parts(x.size());
    int64_t start = 0;
    for (const auto& ranks : places.ranks)
      for (const size_t rank : ranks) {
        parts[rank] = ops::view(all[place], dense[0].shape(), dense[0].strides(), start);
        start += numel;
      }
    const Tensor sum = ops::tree_sum(parts, places.devices[place]);
    for (const size_t rank : places.ranks[place]) y[rank] = rank == places.ranks[place][0] ? sum : ops::clone(sum);
  }
  return y;
}

// Whether all x may be joined along the axis.
bool joins(std::span<const Tensor> x, int axis) {
  for (const Tensor& t : x) {
    if (t.rank() != x[0].rank()) return false;
    for (int i = 0; i < t.rank(); ++i)
      if (i != axis && t.shape()[i] != x[0].shape()[i]) return false;
  }
  return true;
}

// all_gather where a communicator takes it, else nothing.
Tensors joined_everywhere(std::span<const Tensor> x, int axis) {
  const std::vector<Device> devices = devices_of(x);
  Communicator* communicator = communicator_of(devices);
  if (!communicator || !joins(x, axis)) return {};
  Tensors dense, flats, y;
  bool row_major = axis == 0;
  Shape shape = x[0].shape();
  shape[axis] = 0;
  for (const Tensor& t : x) {
    dense.push_back(ops::dense_like(t));
    flats.push_back(flat(dense.back()));
    row_major = row_major && dense.back().is_contiguous();
    shape[axis] += t.shape()[axis];
  }
  for (const Tensor& all : gathered(*communicator, flats)) {
    if (row_major) {
      y.push_back(ops::view(all, shape, strides_of(shape), 0));
      continue;
    }
    Tensors parts;
    int64_t start = 0;
    for (const Tensor& t : dense) {
      parts.push_back(ops::view(all, t.shape(), t.strides(), start));
      start += t.numel();
    }
    y.push_back(ops::concat(parts, axis));
  }
  return y;
}

}  // namespace

bool Communicator::reduce(std::span<const Tensor>, Tensor&) { return false; }
bool Communicator::all_gather(std::span<const Tensor>, std::span<Tensor>) { return false; }
void Communicator::finish(std::span<const Device>) {}

Communicator* register_communicator(DeviceType type, Communicator* communicator) noexcept {
  return communicators[static_cast<size_t>(type)].exchange(communicator, std::memory_order_acq_rel);
}
bool has_communicator(DeviceType type) noexcept { return communicator_of(type) != nullptr; }
int64_t collectives_taken(DeviceType type) noexcept {
  return taken_count[static_cast<size_t>(type)].load(std::memory_order_relaxed);
}

void finish_collectives(std::span<const Device> devices) {
  for (int type = 0; type < device_types; ++type) {
    std::vector<Device> alike;
    for (const Device device : devices)
      if (static_cast<int>(device.type) == type) alike.push_back(device);
    Communicator* communicator = alike.empty() ? nullptr : communicator_of(alike[0].type);
    if (communicator) communicator->finish(alike);
  }
}

void abandon_collectives(std::span<const Device> devices) noexcept {
  try {
    finish_collectives(devices);
  } catch (...) {
    return;  // as said
  }
}

void set_comm_options(const CommOptions& options) {
  deadline.store(options.deadline.count());
  abort_deadline.store(options.abort_deadline.count());
}
CommOptions comm_options() { return {deadline.load(), abort_deadline.load()}; }

namespace ops {

Tensor reduce(std::span<const Tensor> x, Device device, Order order) {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "reduce", bytes_of(x));
  check_ranks("reduce", x, true);
  if (x.size() == 1) return clone(to(x[0], device));
  const std::vector<Device> devices = devices_of(x);
  Communicator* communicator = order == Order::fastest ? communicator_of(devices) : nullptr;
  if (communicator && contains(devices, device)) {
    const Tensors dense = alike(x);
    Tensor y = like(dense[0], device);
    if (taken(device.type, communicator->reduce(dense, y))) return y;
  }
  return tree_sum(x, device);
}

Tensors broadcast(const Tensor& x, std::span<const Device> devices) {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "broadcast", bytes_of({&x, 1}));
  Communicator* communicator = communicator_of(devices);
  if (communicator && contains(devices, x.device())) {
    const Tensor dense = dense_like(x);
    Tensors y;
    for (const Device device : devices) y.push_back(like(dense, device));
    if (taken(x.device().type, communicator->broadcast(dense, y))) return y;
  }
  Tensors copies;
  for (const Device device : devices) copies.push_back(device == x.device() ? clone(x) : to(x, device));
  return copies;
}

Tensors all_reduce(std::span<const Tensor> x, Order order) {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "all_reduce", bytes_of(x));
  check_ranks("all_reduce", x, true);
  const std::vector<Device> devices = devices_of(x);
  if (order == Order::tree) {
    if (Tensors y = gathered_tree_sums(x); !y.empty()) return y;
  } else if (Communicator* communicator = communicator_of(devices)) {
    const Tensors dense = alike(x);
    Tensors y;
    for (const Device device : devices) y.push_back(like(dense[0], device));
    if (taken(devices[0].type, communicator->all_reduce(dense, y))) return y;
  }
  if (std::all_of(devices.begin(), devices.end(), [](Device device) { return device.is_cpu(); })) {
    const Tensors dense = alike(x);
    Tensors y;
    for (const Device device : devices) y.push_back(like(dense[0], device));
    tree_sum_into(y, dense);
    return y;
  }
  const Tensor sum = reduce(x, devices[0], Order::tree);
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
  if (Tensors y = joined_everywhere(x, normalize_axis("all_gather", axis, x[0].rank())); !y.empty()) return y;
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
    sums.push_back(reduce(parts, x[i].device(), Order::tree));
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
