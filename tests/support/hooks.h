// What a test program may add to the common main(): the simulator's program does.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/tensor/device.h"

/// Called after every test case; a text that is not empty fails the case. Defined only in programs that run on
/// simulated devices, so its presence says that this is one.
std::string weft_test_after_case() __attribute__((weak));
/// Defined in the same programs: `count` allocations of memory of a simulated device fail, from the nth on (from 0) …
void weft_test_fail_allocations(int device, int64_t nth, int64_t count) __attribute__((weak));
/// … until this is called, which says how many did.
int64_t weft_test_failed_allocations() __attribute__((weak));

namespace weft::test {
/// True in a program whose CUDA devices are simulated.
inline bool simulated() { return weft_test_after_case != nullptr; }
/// WEFT_DEVICE=cuda in the environment: tests run on CUDA devices alone where they have the choice. The op table and
/// those with a list of devices leave out the CPU, which other runs test; in the files that main.cpp lists, what names
/// no device is made on cuda:0.
bool on_cuda_alone();
/// True if a CUDA device, real or simulated, is there. If not, the skip is counted and announced at the end.
bool cuda_or_skip();
/// True if there are n CUDA devices; if not, the same with a count of its own. Where there is none, as cuda_or_skip.
bool several_or_skip(int n);
/// cpu:0 (unless on_cuda_alone), and a CUDA device if there is one (else as cuda_or_skip): for tests that run on both.
std::vector<Device> devices_to_test();
}  // namespace weft::test
