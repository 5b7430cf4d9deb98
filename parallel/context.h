// Context: what a piece of work needs of the thread that asked for it, as one value. Thread-local state does not follow
// work into a worker by itself.
#pragma once

#include "weft/autograd/autocast.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/random.h"
#include "weft/tensor/stream_order.h"

namespace weft::parallel {

struct Context {
  autograd::Mode mode;
  autograd::CastState casts;
  Generator generator{0};
  /// Work done for a thread is queued where the thread's own is: after what it has queued, before what it then queues.
  std::vector<Stream> streams = {};

  static Context capture() {
    return {autograd::mode(), autograd::CastState::current(), default_generator(), current_streams()};
  }
};

/// Puts a context in force in this thread until the end of the scope.
class ContextGuard {
 public:
  explicit ContextGuard(const Context& context)
      : mode_(context.mode), casts_(context.casts), streams_(context.streams), previous_(default_generator()) {
    default_generator() = context.generator;
  }
  ~ContextGuard() { default_generator() = previous_; }
  ContextGuard(const ContextGuard&) = delete;
  ContextGuard& operator=(const ContextGuard&) = delete;

 private:
  autograd::ModeGuard mode_;
  autograd::CastGuard casts_;
  StreamsGuard streams_;
  Generator previous_;
};

}  // namespace weft::parallel
