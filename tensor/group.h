// Group: the ranks that work on one batch together, and how they meet. A rank is a thread bound to a device; several
// ranks may share a device. Ranks meet on the host: the last one to arrive does the joint work for all, so nothing is
// launched before everybody is there, and a rank that ends or fails without arriving fails the others at once, by
// state.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "weft/tensor/seconds.h"
#include "weft/tensor/tensor.h"

namespace weft {

/// A collective that cannot finish: ranks disagree, or one of them left.
class CommError : public Error {
  using Error::Error;
};

/// How the values of several ranks are summed. fastest: as the devices do it best, in an order that is fixed for one
/// set of devices. tree: a binary tree over ranks, so that the bits depend on the number of ranks alone and not on how
/// they are spread over devices.
enum class Order : uint8_t { fastest, tree };

struct GroupOptions {
  Seconds deadline = 300;  ///< longest wait for the last rank
  Order order = Order::fastest;
};

class Group {
 public:
  explicit Group(std::vector<Device> devices, const GroupOptions& options = {});
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int size() const { return static_cast<int>(devices_.size()); }
  const std::vector<Device>& devices() const { return devices_; }
  /// Different for every group of the process, also after it is gone.
  uint64_t id() const { return id_; }
  Order order() const { return options_.order; }

  /// What the last rank does for all, as a thread that is no rank: gets every rank's tensors, in order of rank, and
  /// returns each rank's results. On the streams that are current where the ranks called; where those of ranks on one
  /// device differ, on one of them, and the others wait before and after.
  using Act = std::function<std::vector<Tensors>(std::span<const Tensors> deposits)>;
  /// Called by every rank, the same number of times and with the same `what` ("all_reduce sum float32[1024]").
  /// Throws CommError `all_reduce #41: rank 0 …, rank 2 …` in all ranks if they disagree, if one left or the deadline
  /// passes; what `act` throws is thrown in every rank.
  Tensors meet(int rank, const std::string& what, Tensors tensors, const Act& act);
  /// The rank will not come again: it returned (no error) or threw. Waiting ranks fail now, later ones on arrival.
  void leave(int rank, std::exception_ptr error = nullptr) noexcept;
  /// The ranks will not run at the same time: every meeting, also one that is gathering, fails with CommError
  /// `<what>: <reason>`.
  void forbid(std::string reason);
  /// Where a rank will run, for a group whose ranks are placed one by one; before that rank runs.
  void place(int rank, Device device);

 private:
  struct Meetings;
  const uint64_t id_;
  std::vector<Device> devices_;
  GroupOptions options_;
  std::unique_ptr<Meetings> meetings_;
};

/// Which rank of which group this thread is; no group outside a parallel section.
struct RankContext {
  Group* group = nullptr;
  int rank = 0;
  /// Among the ranks on the same device, which one: picks the gradient that belongs to it.
  int replica = 0;
};
RankContext& current_rank() noexcept;

class RankGuard {
 public:
  explicit RankGuard(RankContext next) noexcept : previous_(current_rank()) { current_rank() = next; }
  ~RankGuard() { current_rank() = previous_; }
  RankGuard(const RankGuard&) = delete;
  RankGuard& operator=(const RankGuard&) = delete;

 private:
  RankContext previous_;
};

}  // namespace weft
