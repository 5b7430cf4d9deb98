// A progress bar where stdout is a terminal, a line now and then elsewhere.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

class Progress {
 public:
  /// `line_every`: steps between lines where there is no terminal. `before`: steps that an earlier run did.
  Progress(int64_t steps, int64_t line_every, int64_t before = 0)
      : steps_(steps), line_every_(line_every), before_(before) {}

  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  /// Prints a line of its own where the bar stands, which comes back with the next step.
  void say(const std::string& line) const {
    std::printf("%s%s\n", terminal_ ? "\r\033[K" : "", line.c_str());
    std::fflush(stdout);
  }
  /// After step `done` of all; `text` says what there is to say of it.
  void show(int64_t done, const std::string& text) {
    const double now = seconds();
    const double left = now / static_cast<double>(done - before_) * static_cast<double>(steps_ - done);
    if (terminal_) {
      if (done < steps_ && now - drawn_ < 0.1) return;
      drawn_ = now;
      constexpr int width = 30;
      const int full = static_cast<int>(width * done / steps_);
      std::printf("\r[%.*s%*s] %lld/%lld  %s  %.0f s, %.0f s left \033[K%s", full, "##############################",
                  width - full, "", static_cast<long long>(done), static_cast<long long>(steps_), text.c_str(), now,
                  left, done == steps_ ? "\n" : "");
    } else if (done % line_every_ == 0 || done == steps_) {
      std::printf("%4lld/%lld  %s  %.1f s, %.0f s left\n", static_cast<long long>(done), static_cast<long long>(steps_),
                  text.c_str(), now, left);
    }
    std::fflush(stdout);
  }

 private:
  int64_t steps_, line_every_, before_;
  bool terminal_ = isatty(STDOUT_FILENO) != 0;
  double drawn_ = -1;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};
