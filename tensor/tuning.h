// Tuning: how fast against how exact. All settings are for all threads; what is running is not affected.
#pragma once

#include <cstdint>
#include <string>

namespace weft {

/// Whether products and convolutions of f32 on CUDA may use TF32 (10 bits of mantissa): several times faster. Off at
/// first. PyTorch: torch.backends.cuda.matmul.allow_tf32, off, and cudnn.allow_tf32, on.
bool allow_tf32() noexcept;
void set_allow_tf32(bool allow) noexcept;

/// Whether convolutions on CUDA may use engines whose sums come in another order each time: faster gradients in f64,
/// but no two runs are alike. Off at first. PyTorch: torch.use_deterministic_algorithms.
bool nondeterministic_convolution() noexcept;
void set_nondeterministic_convolution(bool allow) noexcept;

// Where a library knows several ways to compute an operation on a device, they are timed there at first use and the
// fastest is kept. So it is with convolutions on CUDA devices; elsewhere nothing happens.

/// How many ways are timed: those that the library recommends most, and of them only such as keep weft's promises (the
/// same bits every time, f32 in f32). 1, at first: none is timed, the library's first is taken. Cards of one kind
/// choose alike, in all threads: the first that needs a choice makes it, the others wait for it. Error below 1.
void set_timed_plans(int count);
int timed_plans() noexcept;

/// What was chosen or loaded so far, a line for each choice. Another choice may give other bits, so a run that goes on
/// needs those it began with: checkpoints (nn/checkpoint.h) keep them and bring them back.
std::string tuned_choices();
/// These hold from now on, timed_plans() or not, in place of what was chosen here. Lines about other cards or another
/// version of the library are kept for such; what is no line is passed over. Where the library has no such way it is as
/// if there were no line.
void load_tuned_choices(const std::string& text);

// For backends.

/// Changes with timed_plans() and where an answer is replaced: then what was asked before must be asked again.
uint64_t tuning_epoch() noexcept;
/// "" if there is none.
std::string tuned_answer(const std::string& question);

/// What has to be chosen, such as the plan of one convolution on one kind of card, in the hands of the thread that
/// chooses: others with the same question wait until this object is gone. Texts have no line breaks, an answer has no
/// tabs.
class TuningQuestion {
 public:
  explicit TuningQuestion(std::string text);
  ~TuningQuestion();
  TuningQuestion(const TuningQuestion&) = delete;
  TuningQuestion& operator=(const TuningQuestion&) = delete;

  /// What another thread found meanwhile; "" if nothing.
  std::string answer() const { return tuned_answer(text_); }
  void settle(const std::string& answer);

 private:
  std::string text_;
};

}  // namespace weft
