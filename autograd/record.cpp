#include "weft/autograd/record.h"

#include <algorithm>

namespace weft::autograd {

namespace {

// A node around a Pullback: any number of inputs and outputs.
class JointNode final : public Node {
 public:
  JointNode(const char* name, std::span<Tensor> outputs, std::span<const Tensor> inputs,
            std::unique_ptr<Pullback> pullback)
      : Node(name, current_stream(outputs[0].device()), static_cast<uint32_t>(outputs.size())),
        pullback_(std::move(pullback)) {
    edges_.reserve(inputs.size());
    for (const Tensor& x : inputs) edges_.push_back(x.defined() ? edge_of(x) : Edge{});
  }

  std::span<Edge> edges() noexcept override { return edges_; }

  void pull(std::span<const Tensor> dys, std::span<const bool> wanted, std::span<Tensor> dxs) override {
    Tensors result = pullback_->pull(dys, wanted);
    WEFT_CHECK(AutogradError, result.size() == dxs.size(), "backward of ", name(), ": the pullback returned ",
               result.size(), " gradients for ", dxs.size(), " inputs");
    std::move(result.begin(), result.end(), dxs.begin());
  }

  void drop_saved() noexcept override { pullback_.reset(); }

 private:
  std::vector<Edge> edges_;
  std::unique_ptr<Pullback> pullback_;
};

}  // namespace

void record_pullback(const char* name, std::span<Tensor> outputs, std::span<const Tensor> inputs,
                     std::unique_ptr<Pullback> pullback) {
  WEFT_CHECK(AutogradError, !outputs.empty(), "record: operation ", name, " has no outputs");
  const Ref<Node> node(new JointNode(name, outputs, inputs, std::move(pullback)));
  for (size_t i = 0; i < outputs.size(); ++i)
    if (is_floating(outputs[i].dtype())) detail::attach_output(outputs[i], node.raw(), static_cast<uint32_t>(i));
}

}  // namespace weft::autograd
