// Seconds: a length of time, from a plain number or from any std::chrono duration. <chrono>, which many programs never
// need, is left to those who write `std::chrono::milliseconds(50)`.
#pragma once

namespace weft {

class Seconds {
 public:
  constexpr Seconds(double seconds) : count_(seconds) {}
  template <class Duration>
  requires requires(const Duration& duration) {
    duration.count();
    Duration::period::num;
  }
  constexpr Seconds(const Duration& duration)
      : count_(static_cast<double>(duration.count()) * static_cast<double>(Duration::period::num) /
               static_cast<double>(Duration::period::den)) {}

  constexpr double count() const { return count_; }

 private:
  double count_;
};

}  // namespace weft
