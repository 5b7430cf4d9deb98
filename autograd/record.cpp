#include "weft/autograd/joint.h"

#include <algorithm>

#include "weft/tensor/stream_order.h"

namespace weft::autograd {

namespace {

// A node around a Pullback: any number of inputs and outputs, on any devices, where the pullback runs on the streams
// that were current when the operation was recorded: there lies what it kept.
class JointNode final : public Node {
 public:
  JointNode(const char* name, std::span<Tensor> outputs, std::span<const Tensor> inputs,
            std::unique_ptr<Pullback> pullback, JointRanks ranks)
      : Node(name, current_stream(outputs[0].device()), static_cast<uint32_t>(outputs.size())),
        pullback_(std::move(pullback)),
        ranks_(std::move(ranks)),
        streams_(current_streams()) {
    edges_.reserve(inputs.size());
    for (const Tensor& x : inputs) edges_.push_back(x.defined() ? edge_of(x) : Edge{});
  }

  std::span<Edge> edges() noexcept override { return edges_; }

  void pull(std::span<const Tensor> dys, std::span<const bool> wanted, std::span<Tensor> dxs) override {
    const std::vector<Stream> outer = current_streams();
    if (outer == streams_) return pull_here(dys, wanted, dxs);
    const StreamsGuard recorded(streams_);
    for (const Tensor& dy : dys)
      if (dy.defined()) hand_over(dy, stream_in(outer, dy.device()), current_stream(dy.device()));
    pull_here(dys, wanted, dxs);
    for (const Tensor& dx : dxs)
      if (dx.defined()) hand_over(dx, current_stream(dx.device()), stream_in(outer, dx.device()));
  }

  void drop_saved() noexcept override { pullback_.reset(); }
  const JointRanks& ranks() const { return ranks_; }

 private:
  void pull_here(std::span<const Tensor> dys, std::span<const bool> wanted, std::span<Tensor> dxs) {
    Tensors result = pullback_->pull(dys, wanted);
    WEFT_CHECK(AutogradError, result.size() == dxs.size(), "backward of ", name(), ": the pullback returned ",
               result.size(), " gradients for ", dxs.size(), " inputs");
    std::move(result.begin(), result.end(), dxs.begin());
  }

  std::vector<Edge> edges_;
  std::unique_ptr<Pullback> pullback_;
  JointRanks ranks_;
  std::vector<Stream> streams_;
};

}  // namespace

JointRanks JointRanks::alike(const Group& group, size_t outputs, size_t inputs) {
  JointRanks ranks{.group = group.id(), .outputs = {}, .inputs = {}};
  for (int rank = 0; rank < group.size(); ++rank) {
    ranks.outputs.insert(ranks.outputs.end(), outputs, rank);
    ranks.inputs.insert(ranks.inputs.end(), inputs, rank);
  }
  return ranks;
}

const JointRanks* joint_ranks(const Node& node) noexcept {
  const auto* joint = dynamic_cast<const JointNode*>(&node);
  return joint && joint->ranks().group ? &joint->ranks() : nullptr;
}

void record_pullback(const char* name, std::span<Tensor> outputs, std::span<const Tensor> inputs,
                     std::unique_ptr<Pullback> pullback) {
  record_pullback(name, outputs, inputs, std::move(pullback), JointRanks{});
}

void record_pullback(const char* name, std::span<Tensor> outputs, std::span<const Tensor> inputs,
                     std::unique_ptr<Pullback> pullback, JointRanks ranks) {
  WEFT_CHECK(AutogradError, !outputs.empty(), "record: operation ", name, " has no outputs");
  WEFT_CHECK(AutogradError,
             !ranks.group || (ranks.outputs.size() == outputs.size() && ranks.inputs.size() == inputs.size()),
             "record: operation ", name, ": ", ranks.outputs.size(), " and ", ranks.inputs.size(), " ranks for ",
             outputs.size(), " outputs and ", inputs.size(), " inputs");
  const Ref<Node> node(new JointNode(name, outputs, inputs, std::move(pullback), std::move(ranks)));
  for (size_t i = 0; i < outputs.size(); ++i)
    if (is_floating(outputs[i].dtype())) detail::attach_output(outputs[i], node.raw(), static_cast<uint32_t>(i));
}

}  // namespace weft::autograd
