#include "weft/tensor/cpu/threads.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "weft/tensor/threads.h"

namespace weft {

namespace {

int cores() {
  const int all = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  for (const char* name : {"WEFT_NUM_THREADS", "OMP_NUM_THREADS"}) {
    const char* text = std::getenv(name);
    if (!text) continue;
    const std::string_view value = text;
    int count = 0;
    std::from_chars(value.data(), value.data() + value.size(), count);
    if (count >= 1) return count;
  }
  return all;
}

constinit thread_local int team = 0;  // 0: not asked for yet

}  // namespace

int default_num_threads() noexcept {
  static const int count = cores();
  return count;
}

int num_threads() noexcept { return cpu::team_size(); }
void set_num_threads(int threads) noexcept { cpu::set_team_size(threads); }

namespace cpu {

int team_size() noexcept {
  if (team == 0) team = default_num_threads();
  return team;
}

void set_team_size(int threads) noexcept { team = std::max(threads, 1); }

}  // namespace cpu
}  // namespace weft
