// Says why there is no CUDA device, and computes on the CPU.
#include <weft/weft.h>

#include <cstdio>

using namespace weft;

int main() {
  std::printf("%d CUDA devices: %s\n", device_count(DeviceType::cuda), why_unavailable(DeviceType::cuda).c_str());
  return (ones({2, 3}) + 1.0).sum().item<float>() == 12 ? 0 : 1;
}
