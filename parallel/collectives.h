// Collectives with gradients. Over one tensor per device, called by a thread that has them all; or called by every rank
// of a parallel section, inside a module's forward or a Parallelizable: there the ranks meet. Each is one joint node on
// the tape, and its gradient is a collective again, so gradients of any order exist.
//
//   scatter <-> gather     broadcast <-> reduce     all_reduce <-> all_reduce     all_gather <-> reduce_scatter
//
// Tensors of one call have one dtype, and one shape but for the axis along which they are cut or joined: ShapeError,
// DtypeError naming the ranks that differ. Sums have a fixed order (see Order).
#pragma once

#include <vector>

#include "weft/tensor/group.h"
#include "weft/tensor/per_device.h"
#include "weft/tensor/tensor.h"

namespace weft::parallel {

/// Parts of x along `axis`, part i of extents[i] on devices[i]; no extents: as even as can be, see share_sizes.
PerDevice<Tensor> scatter(const Tensor& x, const std::vector<Device>& devices, const std::vector<int64_t>& extents = {},
                          int64_t axis = 0);
/// All x joined along `axis` on `device`, in order; extents along the axis may differ.
Tensor gather(const PerDevice<Tensor>& x, Device device, int64_t axis = 0);
/// A copy of x on every device.
PerDevice<Tensor> broadcast(const Tensor& x, const std::vector<Device>& devices);
/// The sum of all x on `device`.
Tensor reduce(const PerDevice<Tensor>& x, Device device, Order order = Order::fastest);
/// The sum of all x, on the device of each.
PerDevice<Tensor> all_reduce(const PerDevice<Tensor>& x, Order order = Order::fastest);
/// All x joined along `axis`, on the device of each.
PerDevice<Tensor> all_gather(const PerDevice<Tensor>& x, int64_t axis = 0);
/// Part i of the sum of all x, of extents[i] along `axis`, on the device of entry i.
PerDevice<Tensor> reduce_scatter(const PerDevice<Tensor>& x, const std::vector<int64_t>& extents, int64_t axis = 0);

// Inside a rank. Every rank of current_rank().group calls the same; outside a parallel section there is one rank.
// `root` is a rank, not a device. The result is on the calling rank's device; CommError where ranks disagree or one
// does not come. A rank's own backward() waits at the node for those of the others, so every rank's loss must depend on
// it; after gather and reduce, whose result the root alone has, take gradients in one pass over all ranks.

/// `x` of the root (others pass an undefined tensor) in parts, one per rank; no extents: as even as can be. All ranks
/// give the same extents.
Tensor scatter(const Tensor& x, int root, const std::vector<int64_t>& extents = {}, int64_t axis = 0);
/// On the root; undefined elsewhere.
Tensor gather(const Tensor& x, int root, int64_t axis = 0);
/// `x` of the root (others pass an undefined tensor).
Tensor broadcast(const Tensor& x, int root);
/// On the root; undefined elsewhere.
Tensor reduce(const Tensor& x, int root);
Tensor all_reduce(const Tensor& x);
Tensor all_gather(const Tensor& x, int64_t axis = 0);
Tensor reduce_scatter(const Tensor& x, const std::vector<int64_t>& extents, int64_t axis = 0);

}  // namespace weft::parallel
