// Scopes over two flags of this thread: does it record operations, and do modules behave as in training.
// They nest and restore, also when left by an exception.
#pragma once

namespace weft::autograd {

struct Mode {
  bool recording = false;
  bool training = false;
};

/// The flags of this thread; workers copy the caller's.
Mode& mode() noexcept;
inline bool is_recording() noexcept { return mode().recording; }
inline bool is_training() noexcept { return mode().training; }

class ModeGuard {
 public:
  explicit ModeGuard(Mode next) noexcept : previous_(mode()) { mode() = next; }
  ~ModeGuard() { mode() = previous_; }
  ModeGuard(const ModeGuard&) = delete;
  ModeGuard& operator=(const ModeGuard&) = delete;

 private:
  Mode previous_;
};

/// Records; trains unless told otherwise. As mxnet's autograd.record().
struct Record : ModeGuard {
  explicit Record(bool train_mode = true) noexcept : ModeGuard({true, train_mode}) {}
};
/// Neither records nor trains.
struct Pause : ModeGuard {
  explicit Pause(bool train_mode = false) noexcept : ModeGuard({false, train_mode}) {}
};
/// Modules train; recording stays as it is.
struct TrainMode : ModeGuard {
  TrainMode() noexcept : ModeGuard({mode().recording, true}) {}
};
/// Modules predict; recording stays as it is.
struct PredictMode : ModeGuard {
  PredictMode() noexcept : ModeGuard({mode().recording, false}) {}
};
/// Does not record; the training flag stays as it is.
struct NoGrad : ModeGuard {
  NoGrad() noexcept : ModeGuard({false, mode().training}) {}
};

}  // namespace weft::autograd
