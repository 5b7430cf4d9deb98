// UntoldScope: around work whose errors are caught and said to nobody.
#pragma once

namespace weft::detail {

enum class Caught { lost_devices, all };

/// In its scope an error that this thread is thrown does not count as told: for who catches it and goes on. Who was
/// told of a lost device, or of results that were lost, is not told again; who was not must be.
class UntoldScope {
 public:
  explicit UntoldScope(Caught caught = Caught::lost_devices) noexcept;
  ~UntoldScope();
  UntoldScope(const UntoldScope&) = delete;
  UntoldScope& operator=(const UntoldScope&) = delete;

 private:
  Caught caught_;
};

/// Whether who catches such errors in this thread tells nobody: DeviceLost, or any other (Caught::all).
bool is_untold(Caught errors) noexcept;

}  // namespace weft::detail
