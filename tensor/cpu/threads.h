// How many cores the loops of this thread use.
#pragma once

#include <cstdint>

namespace weft::cpu {

/// Threads that loops and library calls of this thread run on: all cores at first; workers set their share.
int team_size() noexcept;
void set_team_size(int threads) noexcept;

/// Sets the team size until the end of the scope.
class TeamGuard {
 public:
  explicit TeamGuard(int threads) noexcept : previous_(team_size()) { set_team_size(threads); }
  ~TeamGuard() { set_team_size(previous_); }
  TeamGuard(const TeamGuard&) = delete;
  TeamGuard& operator=(const TeamGuard&) = delete;

 private:
  int previous_;
};

}  // namespace weft::cpu
