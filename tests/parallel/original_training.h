// The original's backward, and MXNet's Parameter, Trainer, custom Function and softmax loss; see original.h.
#pragma once

#include <cmath>
#include <map>
#include <thread>

#include "tests/parallel/original_value.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/record.h"
#include "weft/tensor/operators.h"

namespace original {

/// One value per context, in a dictionary: a context listed twice is one entry.
struct Parameter {
  std::map<weft::Device, weft::Tensor> data;

  explicit Parameter(const weft::Tensor& value) { put(value.device(), value); }
  void reset_ctx(const std::vector<weft::Device>& contexts) {
    const weft::Tensor value = data.begin()->second.detach();
    data.clear();
    for (const weft::Device device : contexts.empty() ? std::vector<weft::Device>{weft::current_device()} : contexts)
      put(device, value.to(device).clone());
  }
  const weft::Tensor& on(weft::Device device) const { return data.at(device); }

 private:
  void put(weft::Device device, const weft::Tensor& value) {
    weft::Tensor copy = value.detach();
    data[device] = copy.attach_grad();
  }
};

/// autograd.backward in threads that keep their exceptions to themselves; `loss.backward()` without sync.
inline void parallel_backward(const Values& losses, bool sync) {
  if (!sync) {
    for (const Value& loss : losses) {
      if (loss.kind != Kind::tensor) throw PythonError("AttributeError: 'list' object has no attribute 'backward'");
      loss.tensor.backward();
    }
    return;
  }
  std::vector<std::thread> threads;
  for (const Value& loss : losses)
    threads.emplace_back([&loss] {
      try {
        weft::Tensors heads;
        if (loss.kind == Kind::tensor) heads.push_back(loss.tensor);
        for (const Value& item : loss.items) heads.push_back(item.tensor);
        weft::autograd::backward(heads);
      } catch (...) {
        return;  // printed, not raised
      }
    });
  for (std::thread& thread : threads) thread.join();
}

/// gluon.Trainer over one parameter with plain SGD. Several contexts: the update happens in the key-value store, and
/// the flags of fresh gradients are never taken back. Updaters are made once, for the contexts of that moment.
class Trainer {
 public:
  Trainer(Parameter& parameter, double learning_rate)
      : parameter_(parameter), lr_(learning_rate), updaters_(parameter.data.size()) {}

  void step(double batch_size) {
    for (const auto& [device, value] : parameter_.data)
      if (writes(value) <= seen_[device]) throw PythonError("UserWarning: gradient has not been updated by backward");
    if (updaters_ > 1) {
      weft::Tensor sum;
      for (const auto& [device, value] : parameter_.data) {
        const weft::Tensor gradient = value.grad().to(parameter_.data.begin()->first);
        sum = sum.defined() ? sum + gradient : gradient;
      }
      for (auto& [device, value] : parameter_.data) apply(value, sum.to(device), batch_size);
      return;
    }
    size_t updater = 0;
    for (auto& [device, value] : parameter_.data) {
      if (updater++ == updaters_) break;  // zip(self._updaters, param.list_data(), param.list_grad())
      apply(value, value.grad(), batch_size);
      seen_[device] = writes(value);
    }
  }

 private:
  static uint64_t writes(const weft::Tensor& value) { return weft::autograd::leaf_of(value)->writes(); }
  void apply(const weft::Tensor& value, const weft::Tensor& gradient, double batch_size) const {
    value.detach().add_(gradient, -lr_ / batch_size);
  }
  Parameter& parameter_;
  double lr_;
  size_t updaters_;
  std::map<weft::Device, uint64_t> seen_;
};

/// What autograd.Function does with the gradients that a custom backward returned; requests are numbers.
enum Request { null = 0, write = 1, inplace = 2, add = 3 };
inline bool assign_gradients(std::vector<float>& stored, const std::vector<float>& returned,
                             const std::vector<Request>& requests) {
  const std::string added = "add";
  for (size_t i = 0; i < returned.size(); ++i) {
    if (requests[i] == null) return true;
    if (requests[i] == write || requests[i] == inplace)
      stored[i] = returned[i];
    else if (std::to_string(requests[i]) == added)  // a number is never the word
      stored[i] += returned[i];
  }
  return true;
}

/// gluon-cv's softmax cross entropy on SoftmaxOutput: logits [N, C]. The value is a mean over all samples of
/// -log(softmax), ignored ones included; the gradient is made from the labels alone, divided by the valid ones.
inline weft::Tensor softmax_loss(const weft::Tensor& logits, const std::vector<int>& labels, int ignore = -1) {
  const auto n = labels.size(), classes = static_cast<size_t>(logits.size(1));
  std::vector<float> p = logits.to_vector<float>(), gradient(p.size());
  float loss = 0, valid = 0;
  for (size_t i = 0; i < n; ++i) valid += labels[i] != ignore;
  for (size_t i = 0; i < n; ++i) {
    float* row = p.data() + i * classes;
    const float top = *std::max_element(row, row + classes);
    float sum = 0;
    for (size_t c = 0; c < classes; ++c) sum += row[c] = std::exp(row[c] - top);
    for (size_t c = 0; c < classes; ++c) row[c] /= sum;
    if (labels[i] == ignore) continue;
    const auto label = static_cast<size_t>(labels[i]);
    loss -= std::log(row[label]);
    for (size_t c = 0; c < classes; ++c) gradient[i * classes + c] = (row[c] - (c == label ? 1.f : 0.f)) / valid;
  }
  weft::Tensor y = weft::full({}, static_cast<double>(loss / static_cast<float>(n)), {.device = logits.device()});
  const weft::Tensor dx = weft::tensor(gradient, logits.shape(), logits.device());
  if (weft::autograd::tracked(logits))
    weft::autograd::record_joint(
        "softmax_output", {&y, 1}, {&logits, 1},
        [dx](std::span<const weft::Tensor>, std::span<const bool>) { return weft::Tensors{dx.clone()}; });
  return y;
}

}  // namespace original
