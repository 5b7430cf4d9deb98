#include "weft/tensor/cpu/threads.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <thread>


namespace weft::cpu {

namespace {

int cores() {
  const char* text = std::getenv("WEFT_NUM_THREADS");
  if (!text || !*text) text = std::getenv("OMP_NUM_THREADS");
  const int all = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (!text || !*text) return all;
  const std::string_view value = text;
  int count = 0;
  std::from_chars(value.data(), value.data() + value.size(), count);
  return count >= 1 ? count : all;
}

constinit thread_local int team = 0;

}  // namespace

int team_size() noexcept {
  if (team == 0) {
    static const int all = cores();
    team = all;
  }
  return team;
}

void set_team_size(int threads) noexcept { team = std::max(threads, 1); }

}  // namespace weft::cpu
