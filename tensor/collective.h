// Collectives over one tensor per rank, all ranks in this process. The order of every sum is fixed (see Order).
#pragma once

#include <span>
#include <vector>

#include "weft/tensor/group.h"
#include "weft/tensor/tensor.h"

namespace weft {

/// A faster way for devices of one kind (NCCL); registered by the backend. Each function returns false to decline, and
/// the general way through copies and additions is taken. Tensors are dense, of one shape and dtype, one per rank.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual bool all_reduce(std::span<const Tensor> x, std::span<Tensor> y) = 0;
  virtual bool broadcast(const Tensor& x, std::span<Tensor> y) = 0;
};
void register_communicator(DeviceType type, Communicator* communicator) noexcept;

namespace ops {

// Inputs of one shape and dtype, on any devices; outputs are new tensors. Throws ShapeError, DtypeError, CommError
// naming the ranks that disagree.

/// The sum of all x, on every rank's device.
Tensors all_reduce(std::span<const Tensor> x, Order order = Order::fastest);
/// The sum of all x on `device`, by the tree.
Tensor reduce(std::span<const Tensor> x, Device device);
/// A copy of x on every device.
Tensors broadcast(const Tensor& x, std::span<const Device> devices);
/// All x joined along `axis`, on `device`; extents along the axis may differ.
Tensor gather(std::span<const Tensor> x, Device device, int64_t axis = 0);
/// All x joined along `axis`, on every rank's device.
Tensors all_gather(std::span<const Tensor> x, int64_t axis = 0);
/// Part i, of extents[i] along `axis`, of the sum of all x, on x[i]'s device; by the tree.
Tensors reduce_scatter(std::span<const Tensor> x, std::span<const int64_t> extents, int64_t axis = 0);
/// Parts of x along `axis` with the given extents, part i on devices[i].
Tensors scatter(const Tensor& x, std::span<const Device> devices, std::span<const int64_t> extents, int64_t axis = 0);

}  // namespace ops
}  // namespace weft
