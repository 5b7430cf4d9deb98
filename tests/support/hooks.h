// What a test program may add to the common main(): the simulator's program does.
#pragma once

#include <string>

/// Called after every test case; a text that is not empty fails the case. Defined only in programs that run on simulated
/// devices, so its presence says that this is one.
std::string weft_test_after_case() __attribute__((weak));

namespace weft::test {
/// True in a program whose CUDA devices are simulated.
inline bool simulated() { return weft_test_after_case != nullptr; }
/// True if a CUDA device, real or simulated, is there. If not, the skip is counted and announced at the end.
bool cuda_or_skip();
}  // namespace weft::test
