// Sequential: layers one after the other. ModuleList: a numbered list of modules that a forward pass walks by itself.
#pragma once

#include "weft/nn/module.h"

namespace weft::nn {

class Sequential : public Layer {
 public:
  Sequential() = default;
  /// Sequential(std::make_unique<Conv2d>(…), std::make_unique<ReLU>(), …)
  template <class... L>
  explicit Sequential(std::unique_ptr<L>... layers) {
    (append(std::move(layers)), ...);
  }
  Sequential& append(std::unique_ptr<Layer> layer) {
    layers_.push_back(std::move(layer));
    return *this;
  }
  /// Builds a layer at the end: `net.add<Linear>(4, 8)`.
  template <class L, class... Args>
  Sequential& add(Args&&... args) {
    return append(std::make_unique<L>(std::forward<Args>(args)...));
  }
  Tensor forward(const Tensor& x) const override {
    Tensor y = x;
    for (const auto& layer : layers_) y = layer->forward(y);
    return y;
  }
  size_t size() const { return layers_.size(); }
  Layer& operator[](size_t i) const { return *layers_.at(i); }
  std::string describe() const override { return "Sequential"; }
  /// Members are named "0", "1", ….
  void list_members(MemberList& list) override {
    for (size_t i = 0; i < layers_.size(); ++i) list.add(std::to_string(i), *layers_[i]);
  }

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
};

template <class M>
class ModuleList : public Module {
 public:
  template <class... Args>
  M& add(Args&&... args) {
    modules_.push_back(std::make_unique<M>(std::forward<Args>(args)...));
    return *modules_.back();
  }
  size_t size() const { return modules_.size(); }
  M& operator[](size_t i) const { return *modules_.at(i); }
  std::string describe() const override { return "ModuleList"; }
  void list_members(MemberList& list) override {
    for (size_t i = 0; i < modules_.size(); ++i) list.add(std::to_string(i), *modules_[i]);
  }

 private:
  std::vector<std::unique_ptr<M>> modules_;
};

}  // namespace weft::nn
