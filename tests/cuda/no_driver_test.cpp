// The backend linked with the real CUDA libraries, on whatever machine this is: without a driver the program starts, has
// no CUDA device, says why, and goes on with the CPU; with one, the devices are there.
#include <doctest/doctest.h>

#include <string>

#include "weft/weft.h"

using namespace weft;

TEST_SUITE("cuda") {
  TEST_CASE("without a driver weft says so and uses the CPU") {
    const int count = device_count(DeviceType::cuda);
    const std::string why = why_unavailable(DeviceType::cuda);
    if (count > 0) {
      CHECK(why == "");
      CHECK(ones({3}, {.device = "cuda:0"}).to_vector<float>() == std::vector<float>{1, 1, 1});
      return;
    }
    CHECK(why.find("cuda is not available: ") == 0);
    CHECK(why.find("; weft uses the CPU") != std::string::npos);
    for (const Device device : available_devices()) CHECK(device.is_cpu());
    std::string text;
    try {
      ones({3}, {.device = "cuda:0"});
    } catch (const DeviceError& error) {
      text = error.what();
    }
    CHECK(text.find("cuda is not available: ") != std::string::npos);
    CHECK(ones({3}).to_vector<float>() == std::vector<float>{1, 1, 1});
  }
}
