// How many cores operations of this thread may use on the CPU.
#pragma once

namespace weft {

/// WEFT_NUM_THREADS or OMP_NUM_THREADS from the environment, else all cores.
int default_num_threads() noexcept;
/// Of this thread: the default at first; workers of several CPU devices get their share.
int num_threads() noexcept;
/// At least 1.
void set_num_threads(int threads) noexcept;

}  // namespace weft
