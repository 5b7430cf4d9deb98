#include "weft/autograd/backward.h"

#include <exception>
#include <mutex>
#include <thread>

#include "weft/autograd/engine.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/profile_scope.h"

namespace weft::autograd {

void ThreadExecutor::run(std::span<const Device> devices, const std::function<void(int)>& body) {
  std::mutex mutex;
  std::exception_ptr error;
  std::vector<std::thread> threads;
  threads.reserve(devices.size());
  for (size_t i = 0; i < devices.size(); ++i) {
    threads.emplace_back([&, i] {
      try {
        const DeviceGuard device(devices[i]);
        body(static_cast<int>(i));
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (error) std::rethrow_exception(error);
}

namespace {

void check_heads(const char* operation, const Tensors& heads) {
  WEFT_CHECK(AutogradError, !heads.empty(), operation, ": no heads given");
  for (const Tensor& head : heads) {
    WEFT_CHECK(AutogradError, head.defined(), operation, ": a head is undefined");
    WEFT_CHECK(AutogradError, is_floating(head.dtype()), operation, ": a head has dtype ", head.dtype(),
               "; gradients need a floating dtype");
    WEFT_CHECK(AutogradError, head.requires_grad(), operation, ": the head of shape ", head.shape(),
               " does not depend on any tensor with attach_grad(); compute it under autograd::Record");
  }
}

// Missing head gradients are ones.
Tensors head_gradients(const char* operation, const Tensors& heads, const Tensors& given) {
  WEFT_CHECK(AutogradError, given.empty() || given.size() == heads.size(), operation, ": ", given.size(),
             " head gradients for ", heads.size(), " heads");
  Tensors gradients;
  for (size_t i = 0; i < heads.size(); ++i) {
    if (given.empty() || !given[i].defined()) {
      gradients.push_back(ones_like(heads[i]));
      continue;
    }
    WEFT_CHECK(AutogradError,
               given[i].shape() == heads[i].shape() && given[i].dtype() == heads[i].dtype() &&
                   given[i].device() == heads[i].device(),
               operation, ": head gradient ", given[i].dtype(), given[i].shape(), " on ", given[i].device(),
               " for a head ", heads[i].dtype(), heads[i].shape(), " on ", heads[i].device());
    gradients.push_back(given[i]);
  }
  return gradients;
}

}  // namespace

void backward(const Tensors& heads, const BackwardOptions& options, Executor* executor) {
  const weft::detail::ProfileScope scope(ProfileKind::pass, "backward");
  check_heads("backward", heads);
  Engine engine(heads, head_gradients("backward", heads, options.head_grads), {},
                {options.retain_graph, options.create_graph, options.train_mode, true});
  engine.run(executor);
}

Tensors grad(const Tensors& heads, const Tensors& variables, const GradOptions& options, Executor* executor) {
  const weft::detail::ProfileScope scope(ProfileKind::pass, "grad");
  check_heads("grad", heads);
  for (size_t i = 0; i < variables.size(); ++i)
    WEFT_CHECK(AutogradError, variables[i].defined() && variables[i].requires_grad(), "grad: variable ", i,
               " is not tracked; call attach_grad() on it before the forward pass");
  Engine engine(heads, head_gradients("grad", heads, options.head_grads), variables,
                {options.retain_graph, options.create_graph, options.train_mode, false});
  engine.run(executor);
  Tensors gradients = engine.take_captured();
  for (size_t i = 0; i < gradients.size(); ++i)
    WEFT_CHECK(AutogradError, gradients[i].defined() || options.allow_unused, "grad: no head depends on variable ", i,
               " of shape ", variables[i].shape(), "; pass allow_unused to get an undefined gradient");
  return gradients;
}

}  // namespace weft::autograd
