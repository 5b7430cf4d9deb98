// Collectives over one tensor per rank, all ranks in this process. The order of every sum is fixed (see Order).
#pragma once

#include <span>
#include <vector>

#include "weft/tensor/group.h"
#include "weft/tensor/seconds.h"
#include "weft/tensor/tensor.h"

namespace weft {

/// A faster way for devices of one kind (NCCL); registered by the backend. Each function returns false to decline, and
/// the general way through copies and additions is taken. Tensors are dense, alike in shape, strides and dtype, and lie
/// on different devices, one per rank; sums come in an order that is fixed for one list of devices.
class Communicator {
 public:
  virtual ~Communicator() = default;
  /// y_i = sum_j x_j
  virtual bool all_reduce(std::span<const Tensor> x, std::span<Tensor> y) = 0;
  /// y_i = x, which lies on the device of one of y.
  virtual bool broadcast(const Tensor& x, std::span<Tensor> y) = 0;
  /// y = sum_j x_j; y lies on the device of one of x.
  virtual bool reduce(std::span<const Tensor> x, Tensor& y);
  /// y_i = the elements of all x, one after the other, in one dimension. Sizes of x may differ.
  virtual bool all_gather(std::span<const Tensor> x, std::span<Tensor> y);
  /// See finish_collectives.
  virtual void finish(std::span<const Device> devices);
};
/// Returns the one that was there before, if any.
Communicator* register_communicator(DeviceType type, Communicator* communicator) noexcept;
bool has_communicator(DeviceType type) noexcept;
/// How many collectives the communicators of this type have taken so far.
int64_t collectives_taken(DeviceType type) noexcept;

/// Waits until the collectives launched so far on these devices have ended. Throws CommError for one that failed or
/// does not end, also if that was found while something else was waited for; asynchronous otherwise.
void finish_collectives(std::span<const Device> devices);
/// The same for who has an error to tell already: what became of them is a consequence, and nobody is told of it later.
void abandon_collectives(std::span<const Device> devices) noexcept;

/// For all threads; what is under way is not affected.
struct CommOptions {
  /// Longest host wait for collectives that were launched, and for a communicator to be set up.
  Seconds deadline = 300;
  /// Longest wait for the abort of a communicator that failed; after that the abort is left to itself.
  Seconds abort_deadline = 30;
};
void set_comm_options(const CommOptions& options);
CommOptions comm_options();

namespace ops {

// Inputs of one shape and dtype, on any devices; outputs are new tensors. Throws ShapeError, DtypeError, CommError
// naming the ranks that disagree.

/// The sum of all x, on every rank's device.
Tensors all_reduce(std::span<const Tensor> x, Order order = Order::fastest);
/// The sum of all x on `device`.
Tensor reduce(std::span<const Tensor> x, Device device, Order order = Order::fastest);
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
