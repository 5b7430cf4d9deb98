// The nets that the programs of this folder train and use, by name, and their loss.
#pragma once

#include <weft/nn/loss.h>
#include <weft/nn/models/segmentation.h>
#include <weft/nn/models/u_net.h>
#include <weft/nn/optim/optimizer.h>
#include <weft/tensor/operators.h>

#include <memory>
#include <string>
#include <vector>

namespace segmentation {

using namespace weft;

struct NetOptions {
  std::string model = "fcn", backbone = "resnet50", variant = "v1s";
  int64_t classes = 0;
  double aux_weight = 0.4;  // of the auxiliary head's loss; 0: no such head
  bool sync_bn = false;
};

inline models::ResNetVariant resnet_variant(const std::string& name) {
  using enum models::ResNetVariant;
  if (name == "v1b") return v1b;
  if (name == "v1c") return v1c;
  if (name == "v1d") return v1d;
  if (name != "v1s") fail("net: no variant '", name, "'; there are v1b, v1c, v1s and v1d");
  return v1s;
}

inline int resnet_depth(const std::string& name) {
  for (const int depth : {18, 34, 50, 101, 152})
    if (name == "resnet" + std::to_string(depth)) return depth;
  fail("net: no backbone '", name, "'; there are resnet18, resnet34, resnet50, resnet101 and resnet152");
}

// A U-Net, or a head on a ResNet; parameters have the names that they have in these.
class Net : public nn::Module {
 public:
  explicit Net(const NetOptions& options) {
    if (options.model == "unet") {
      u_net_ = std::make_unique<models::UNet>(
          models::UNetOptions{.in_channels = 3, .classes = options.classes, .sync = options.sync_bn});
    } else {
      net_ = std::make_unique<models::SegmentationNet>(
          models::SegmentationNetOptions{.head = models::segmentation_head(options.model),
                                         .classes = options.classes,
                                         .aux = options.aux_weight > 0,
                                         .backbone = {.depth = resnet_depth(options.backbone),
                                                      .variant = resnet_variant(options.variant),
                                                      .sync = options.sync_bn}});
    }
  }
  // x [N, 3, H, W] -> logits [N, classes, H, W]; in training those of the auxiliary head too, where there is one.
  Tensors forward(const Tensor& x) const {
    if (u_net_) return {u_net_->forward(x)};
    if (!training()) return {net_->predict(x)};
    const auto [main, aux] = net_->forward(x);
    return aux.defined() ? Tensors{main, aux} : Tensors{main};
  }
  std::string describe() const override { return module().describe(); }
  void list_members(nn::MemberList& list) override { module().list_members(list); }

 private:
  nn::Module& module() const { return u_net_ ? static_cast<nn::Module&>(*u_net_) : *net_; }

  std::unique_ptr<models::UNet> u_net_;
  std::unique_ptr<models::SegmentationNet> net_;
};

// Softmax cross entropy of the net's output, the auxiliary head's with its weight.
class Loss {
 public:
  explicit Loss(double aux_weight) : main_({.ignore_label = 255}), both_(aux_weight, {.ignore_label = 255}) {}
  nn::LossParts parts(const Tensors& outputs, const Tensor& labels) const {
    return outputs.size() == 1 ? main_.parts(outputs[0], labels) : both_.parts(outputs[0], outputs[1], labels);
  }

 private:
  nn::SoftmaxCrossEntropyLoss main_;
  nn::MixSoftmaxCrossEntropyLoss both_;
};

// Groups: heads (all but the backbone) learn `head_lr_mult` times as fast; vectors go without decay if `no_wd`. A U-Net
// has no backbone and is one body.
inline std::vector<nn::optim::ParameterGroup> groups_of(const Net& net, double head_lr_mult, bool no_wd) {
  std::vector<nn::Parameter> body, heads;
  const std::vector<nn::Parameter> all = net.parameters();
  for (const nn::Parameter& p : all) (p.name().starts_with("backbone.") ? body : heads).push_back(p);
  if (body.empty()) body.swap(heads);
  std::vector<nn::optim::ParameterGroup> groups;
  const auto add = [&](const std::vector<nn::Parameter>& parameters, double mult) {
    auto parts = no_wd ? nn::optim::no_decay_for_vectors(parameters)
                       : std::vector<nn::optim::ParameterGroup>{{.parameters = parameters}};
    for (nn::optim::ParameterGroup& group : parts) {
      group.lr_mult = mult;
      if (!group.parameters.empty()) groups.push_back(std::move(group));
    }
  };
  add(body, 1);
  add(heads, head_lr_mult);
  return groups;
}

}  // namespace segmentation
