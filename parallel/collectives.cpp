// y_i = sum_j x_j                dx_i = sum_j dy_j           all_reduce
// y = sum_j x_j                  dx_i = dy                   reduce,   and backwards broadcast
// y = (x_0, x_1, …)              dx_i = part i of dy         gather,   and backwards scatter
// y_i = (x_0, x_1, …)            dx_i = part i of sum_j dy_j all_gather, and backwards reduce_scatter
#include "weft/parallel/collectives.h"

#include <algorithm>

#include "weft/autograd/joint.h"
#include "weft/parallel/split.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/ops/geometry.h"

namespace weft::parallel {

namespace {

using autograd::JointRanks;
using Extents = std::vector<int64_t>;

bool any_tracked(std::span<const Tensor> x) {
  return std::any_of(x.begin(), x.end(), [](const Tensor& t) { return autograd::tracked(t); });
}

std::vector<Device> devices_of(std::span<const Tensor> x) {
  std::vector<Device> devices;
  for (const Tensor& t : x) devices.push_back(t.device());
  return devices;
}

Extents extents_of(std::span<const Tensor> x, int64_t axis) {
  Extents extents;
  for (const Tensor& t : x) extents.push_back(t.size(axis));
  return extents;
}

// Zeros where no gradient arrived.
class Complete {
 public:
  explicit Complete(std::span<const Tensor> y) {
    for (const Tensor& t : y) specs_.push_back({t.shape(), {.dtype = t.dtype(), .device = t.device()}});
  }
  Tensors operator()(std::span<const Tensor> dys) const {
    Tensors all(dys.begin(), dys.end());
    for (size_t i = 0; i < all.size(); ++i)
      if (!all[i].defined()) all[i] = zeros(specs_[i].first, specs_[i].second);
    return all;
  }

 private:
  std::vector<std::pair<Shape, TensorOptions>> specs_;
};

// Records y as made from x; `pull` gets complete gradients of y and returns those of x.
template <class F>
void record_collective(const char* name, std::span<Tensor> y, std::span<const Tensor> x, const JointRanks& ranks,
                       F pull) {
  if (!any_tracked(x)) return;
  autograd::record_joint(
      name, y, x,
      [pull = std::move(pull), complete = Complete(y)](std::span<const Tensor> dys, std::span<const bool> wanted) {
        Tensors dxs = pull(complete(dys));
        for (size_t i = 0; i < dxs.size(); ++i)
          if (!wanted[i]) dxs[i] = Tensor();
        return dxs;
      },
      ranks);
}

Tensor gather_all(std::span<const Tensor> x, Device device, int64_t axis, const JointRanks& ranks);
Tensor reduce_all(std::span<const Tensor> x, Device device, Order order, const JointRanks& ranks);

Tensors scatter_from(const Tensor& x, const std::vector<Device>& devices, const Extents& extents, int64_t axis,
                     const JointRanks& ranks) {
  Tensors y = ops::scatter(x, devices, extents, axis);
  record_collective("scatter", y, {&x, 1}, ranks, [device = x.device(), axis](const Tensors& dy) {
    return Tensors{gather_all(dy, device, axis, {})};
  });
  return y;
}

Tensor gather_all(std::span<const Tensor> x, Device device, int64_t axis, const JointRanks& ranks) {
  Tensor y = ops::gather(x, device, axis);
  record_collective("gather", {&y, 1}, x, ranks,
                    [devices = devices_of(x), extents = extents_of(x, axis), axis](const Tensors& dy) {
                      return scatter_from(dy[0], devices, extents, axis, {});
                    });
  return y;
}

// `order` is that of the sum in its gradient.
Tensors broadcast_from(const Tensor& x, const std::vector<Device>& devices, Order order, const JointRanks& ranks) {
  WEFT_CHECK(CommError, !devices.empty(), "broadcast: no devices");
  Tensors y = ops::broadcast(x, devices);
  record_collective("broadcast", y, {&x, 1}, ranks, [device = x.device(), order](const Tensors& dy) {
    return Tensors{reduce_all(dy, device, order, {})};
  });
  return y;
}

Tensor reduce_all(std::span<const Tensor> x, Device device, Order order, const JointRanks& ranks) {
  Tensor y = ops::reduce(x, device, order);
  record_collective("reduce", {&y, 1}, x, ranks, [devices = devices_of(x), order](const Tensors& dy) {
    return broadcast_from(dy[0], devices, order, {});
  });
  return y;
}

Tensors sum_everywhere(std::span<const Tensor> x, Order order, const JointRanks& ranks) {
  Tensors y = ops::all_reduce(x, order);
  record_collective("all_reduce", y, x, ranks, [order](const Tensors& dy) { return sum_everywhere(dy, order, {}); });
  return y;
}

Tensors sum_in_parts(std::span<const Tensor> x, const Extents& extents, int64_t axis, const JointRanks& ranks);

Tensors join_everywhere(std::span<const Tensor> x, int64_t axis, const JointRanks& ranks) {
  Tensors y = ops::all_gather(x, axis);
  record_collective("all_gather", y, x, ranks, [extents = extents_of(x, axis), axis](const Tensors& dy) {
    return sum_in_parts(dy, extents, axis, {});
  });
  return y;
}

Tensors sum_in_parts(std::span<const Tensor> x, const Extents& extents, int64_t axis, const JointRanks& ranks) {
  Tensors y = ops::reduce_scatter(x, extents, axis);
  record_collective("reduce_scatter", y, x, ranks, [axis](const Tensors& dy) { return join_everywhere(dy, axis, {}); });
  return y;
}

std::span<const Tensor> values(const PerDevice<Tensor>& x) { return {x.begin(), x.end()}; }

PerDevice<Tensor> like(const PerDevice<Tensor>& x, Tensors y) {
  PerDevice<Tensor> result(x.devices(), std::move(y));
  result.set_origin(x.origin());
  return result;
}

Extents even_extents(const char* operation, const Tensor& x, const std::vector<Device>& devices, int64_t axis) {
  return share_sizes(x.size(normalize_axis(operation, axis, x.rank())), devices, {.batch_axis = axis}, x.shape());
}

}  // namespace

PerDevice<Tensor> scatter(const Tensor& x, const std::vector<Device>& devices, const Extents& extents, int64_t axis) {
  WEFT_CHECK(DeviceError, !devices.empty(), "scatter: the list of devices is empty");
  const Extents parts = extents.empty() ? even_extents("scatter", x, devices, axis) : extents;
  return {devices, scatter_from(x, devices, parts, axis, {})};
}
Tensor gather(const PerDevice<Tensor>& x, Device device, int64_t axis) {
  return gather_all(values(x), device, axis, {});
}
PerDevice<Tensor> broadcast(const Tensor& x, const std::vector<Device>& devices) {
  return {devices, broadcast_from(x, devices, Order::fastest, {})};
}
Tensor reduce(const PerDevice<Tensor>& x, Device device, Order order) {
  return reduce_all(values(x), device, order, {});
}
PerDevice<Tensor> all_reduce(const PerDevice<Tensor>& x, Order order) {
  return like(x, sum_everywhere(values(x), order, {}));
}
PerDevice<Tensor> all_gather(const PerDevice<Tensor>& x, int64_t axis) {
  return like(x, join_everywhere(values(x), axis, {}));
}
PerDevice<Tensor> reduce_scatter(const PerDevice<Tensor>& x, const Extents& extents, int64_t axis) {
  return like(x, sum_in_parts(values(x), extents, axis, {}));
}

namespace {

// The ranks of a call inside a rank: those of the group, or this thread alone.
struct Meeting {
  RankContext here = current_rank();
  int size = here.group ? here.group->size() : 1;
  Order order = here.group ? here.group->order() : Order::fastest;

  void check_root(const char* operation, int root) const {
    WEFT_CHECK(CommError, root >= 0 && root < size, operation, ": root ", root, " of ", size, " ranks");
  }
  std::vector<Device> devices() const {
    return here.group ? here.group->devices() : std::vector<Device>{current_device()};
  }
  // f(one tensor per rank, marks) -> one tensor per rank; what this rank gets of it. All ranks must agree on `what`
  // and on whether they record.
  template <class F>
  Tensor hold(std::string what, const Tensor& x, JointRanks marks, F f) const {
    if (!here.group) return f(Tensors{x}, JointRanks{})[0];
    if (autograd::is_recording()) what += ", recorded";
    marks.group = here.group->id();
    return here.group->meet(here.rank, what, {x}, [&](std::span<const Tensors> deposits) {
      Tensors all;
      for (const Tensors& deposit : deposits) all.push_back(deposit[0]);
      std::vector<Tensors> results;
      for (Tensor& y : f(all, marks)) results.push_back({std::move(y)});
      return results;
    })[0];
  }
  JointRanks everyone() const { return here.group ? JointRanks::alike(*here.group, 1, 1) : JointRanks{}; }
  JointRanks from(int root) const {
    JointRanks ranks = everyone();
    ranks.inputs = {root};
    return ranks;
  }
  JointRanks onto(int root) const {
    JointRanks ranks = everyone();
    ranks.outputs = {root};
    return ranks;
  }
  // Only the root gets a result.
  Tensors alone(int root, Tensor y) const {
    Tensors results(static_cast<size_t>(size));
    results[static_cast<size_t>(root)] = std::move(y);
    return results;
  }
};

std::string text_of(const char* operation, const Tensor& x) {
  return weft::detail::concat(operation, " ", x.dtype(), x.shape());
}
// Where extents along the axis may differ.
std::string text_of(const char* operation, const Tensor& x, int64_t axis) {
  return weft::detail::concat(operation, " ", x.dtype(), " of rank ", x.rank(), " along axis ", axis);
}
// " along axis 0 in parts of 1, 3"
std::string text_of(const Extents& extents, int64_t axis) {
  std::string text = weft::detail::concat(" along axis ", axis);
  for (size_t i = 0; i < extents.size(); ++i) text += weft::detail::concat(i ? ", " : " in parts of ", extents[i]);
  return text;
}

}  // namespace

Tensor scatter(const Tensor& x, int root, const Extents& extents, int64_t axis) {
  const Meeting meeting;
  meeting.check_root("scatter", root);
  return meeting.hold(weft::detail::concat("scatter from rank ", root, text_of(extents, axis)), x, meeting.from(root),
                      [&](const Tensors& all, const JointRanks& marks) {
                        const Tensor& whole = all[static_cast<size_t>(root)];
                        const std::vector<Device> devices = meeting.devices();
                        const Extents parts = extents.empty() ? even_extents("scatter", whole, devices, axis) : extents;
                        return scatter_from(whole, devices, parts, axis, marks);
                      });
}

Tensor gather(const Tensor& x, int root, int64_t axis) {
  const Meeting meeting;
  meeting.check_root("gather", root);
  return meeting.hold(weft::detail::concat(text_of("gather", x, axis), " to rank ", root), x, meeting.onto(root),
                      [&](const Tensors& all, const JointRanks& marks) {
                        const Device device = all[static_cast<size_t>(root)].device();
                        return meeting.alone(root, gather_all(all, device, axis, marks));
                      });
}

Tensor broadcast(const Tensor& x, int root) {
  const Meeting meeting;
  meeting.check_root("broadcast", root);
  return meeting.hold(weft::detail::concat("broadcast from rank ", root), x, meeting.from(root),
                      [&](const Tensors& all, const JointRanks& marks) {
                        return broadcast_from(all[static_cast<size_t>(root)], meeting.devices(), meeting.order, marks);
                      });
}

Tensor reduce(const Tensor& x, int root) {
  const Meeting meeting;
  meeting.check_root("reduce", root);
  return meeting.hold(weft::detail::concat(text_of("reduce", x), " to rank ", root), x, meeting.onto(root),
                      [&](const Tensors& all, const JointRanks& marks) {
                        const Device device = all[static_cast<size_t>(root)].device();
                        return meeting.alone(root, reduce_all(all, device, meeting.order, marks));
                      });
}

Tensor all_reduce(const Tensor& x) {
  const Meeting meeting;
  return meeting.hold(
      text_of("all_reduce", x), x, meeting.everyone(),
      [&](const Tensors& all, const JointRanks& marks) { return sum_everywhere(all, meeting.order, marks); });
}

Tensor all_gather(const Tensor& x, int64_t axis) {
  const Meeting meeting;
  return meeting.hold(text_of("all_gather", x, axis), x, meeting.everyone(),
                      [&](const Tensors& all, const JointRanks& marks) { return join_everywhere(all, axis, marks); });
}

Tensor reduce_scatter(const Tensor& x, const Extents& extents, int64_t axis) {
  const Meeting meeting;
  return meeting.hold(
      text_of("reduce_scatter", x) + text_of(extents, axis), x, meeting.everyone(),
      [&](const Tensors& all, const JointRanks& marks) { return sum_in_parts(all, extents, axis, marks); });
}

}  // namespace weft::parallel
