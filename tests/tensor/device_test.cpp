// Devices, streams, events, guards, values per device.
#include <doctest/doctest.h>

#include <cstdlib>
#include <thread>
#include <unordered_set>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/tensor/device.h"
#include "weft/tensor/per_device.h"

using namespace weft;
using namespace weft::test;

TEST_CASE("device: names and their errors") {
  CHECK(Device("cpu") == Device(DeviceType::cpu, 0));
  CHECK(Device("cpu:3") == Device(DeviceType::cpu, 3));
  CHECK(Device(std::string("cuda:1")) == Device(DeviceType::cuda, 1));
  CHECK(Device("cuda").index == 0);
  CHECK(to_string(Device("cuda:12")) == "cuda:12");
  CHECK(Device("cpu:1").is_cpu());
  CHECK(!Device("cuda:1").is_cpu());
  CHECK(Device("cpu:1") < Device("cpu:2"));
  CHECK(Device("cpu:2") < Device("cuda:0"));
  for (const char* bad : {"", "gpu", "cuda:", "cuda:x", "cpu:-1", "cpu:1 ", " cpu", "cpu:99999", "cpu:+1", "cuda:0:1",
                          "CPU", "cpu:9999999999999"}) {
    const std::string text = std::string("device: '") + bad + "' is not a device; write cpu, cpu:1, cuda or cuda:0";
    CHECK(throws<DeviceError>(text, [&] { Device{bad}; }) == "");
  }
  std::unordered_set<Device> set{"cpu:0", "cpu:1", "cuda:0", "cuda:0"};
  CHECK(set.size() == 3);
}

TEST_CASE("device: which exist") {
  CHECK(device_count(DeviceType::cpu) == max_cpu_devices);
  CHECK_NOTHROW(check_exists("cpu:63"));
  CHECK(throws<DeviceError>("device cpu:64 does not exist; CPU devices are cpu:0 to cpu:63",
                            [] { check_exists("cpu:64"); }) == "");
  const int gpus = device_count(DeviceType::cuda);
  const std::string beyond = "cuda:" + std::to_string(gpus);
  if (gpus == 0) {
    CHECK(why_unavailable(DeviceType::cuda).starts_with("cuda is not available: "));
    CHECK(why_unavailable(DeviceType::cuda).ends_with("; weft uses the CPU"));
    CHECK(throws<DeviceError>("device cuda:0 does not exist: " + why_unavailable(DeviceType::cuda),
                              [] { check_exists("cuda:0"); }) == "");
    CHECK(throws<DeviceError>("device cuda:0 does not exist: …", [] { zeros({2}, {.device = "cuda:0"}); }) == "");
    CHECK(available_devices().front() == Device("cpu:0"));
  } else {
    CHECK(why_unavailable(DeviceType::cuda).empty());
    CHECK(throws<DeviceError>("device " + beyond + " does not exist; …CUDA device…present",
                              [&] { check_exists(beyond); }) == "");
    CHECK(available_devices().size() == static_cast<size_t>(gpus));
  }
  CHECK(why_unavailable(DeviceType::cpu).empty());
}

TEST_CASE("device: WEFT_CPU_DEVICES lists the CPU's devices") {
  if (device_count(DeviceType::cuda) > 0) return;  // then the list is that of the GPUs
  const char* before = std::getenv("WEFT_CPU_DEVICES");
  const std::string old = before ? before : "";
  setenv("WEFT_CPU_DEVICES", "3", 1);
  CHECK(available_devices() == std::vector<Device>{"cpu:0", "cpu:1", "cpu:2"});
  for (const char* bad : {"0", "65", "two", "-1", "2x"}) {
    setenv("WEFT_CPU_DEVICES", bad, 1);
    CHECK(throws<DeviceError>(std::string("WEFT_CPU_DEVICES: '") + bad + "' is not a number from 1 to 64",
                              [] { available_devices(); }) == "");
  }
  before ? setenv("WEFT_CPU_DEVICES", old.c_str(), 1) : unsetenv("WEFT_CPU_DEVICES");
}

TEST_CASE("device: guards nest, restore after exceptions, and belong to a thread") {
  CHECK(current_device() == Device("cpu:0"));
  {
    const DeviceGuard outer("cpu:2");
    CHECK(current_device() == Device("cpu:2"));
    CHECK(current_stream().device == Device("cpu:2"));
    CHECK(zeros({1}).device() == Device("cpu:2"));
    try {
      const DeviceGuard inner("cpu:5");
      throw 1;
    } catch (int) {
    }
    CHECK(current_device() == Device("cpu:2"));
    CHECK(throws<DeviceError>("device cpu:64…", [] { const DeviceGuard none("cpu:64"); }) == "");
    CHECK(current_device() == Device("cpu:2"));
    Device elsewhere("cpu:9");
    std::thread([&] { elsewhere = current_device(); }).join();
    CHECK(elsewhere == Device("cpu:0"));
  }
  CHECK(current_device() == Device("cpu:0"));
}

TEST_CASE("stream: guards set stream and device of the thread and restore both") {
  for (const Device device : devices_to_test()) {
    const Stream standard = current_stream(device);
    CHECK(standard.id == 0);
    const Stream a = Stream::create(device), b = Stream::create(device);
    CHECK(a != b);
    CHECK(a != standard);
    {
      const StreamGuard on_a(a);
      CHECK(current_stream() == a);
      CHECK(current_device() == device);
      {
        const StreamGuard on_b(b);
        CHECK(current_stream(device) == b);
        const DeviceGuard other("cpu:7");
        CHECK(current_stream().device == Device("cpu:7"));
        CHECK(current_stream(device) == b);
      }
      CHECK(current_stream(device) == a);
    }
    CHECK(current_stream(device) == standard);
    CHECK(current_device() == Device("cpu:0"));
  }
  CHECK(to_string(Stream{Device("cpu:1"), 4}) == "stream 4 of cpu:1");
  CHECK(throws<DeviceError>("device cpu:64 does not exist; CPU devices are cpu:0 to cpu:63",
                            [] { Stream::create("cpu:64"); }) == "");
}

TEST_CASE("event: record, wait, query, time, move") {
  for (const Device device : devices_to_test()) {
    const Stream stream = Stream::create(device), other = Stream::create(device);
    Event nothing;
    CHECK(nothing.query());
    nothing.synchronize();
    other.wait(nothing);
    Event first, second;
    first.record(stream, true);
    second.record(stream, true);
    second.record(stream, true);  // again: the later mark counts
    other.wait(second);
    second.synchronize();
    CHECK(first.query());
    CHECK(second.query());
    CHECK(second.elapsed_ms(first) >= 0);
    Event moved = std::move(first);
    CHECK(moved.query());
    CHECK(second.elapsed_ms(moved) >= 0);
    moved = Event();
    CHECK(throws<Error>("elapsed_ms: both events must have been recorded with timing = true",
                        [&] { second.elapsed_ms(moved); }) == "");
    Event untimed;
    untimed.record(stream);
    CHECK(throws<Error>("elapsed_ms: both events must have been recorded with timing = true",
                        [&] { untimed.elapsed_ms(second); }) == "");
    untimed.record(stream, true);  // timing may be turned on later
    CHECK(untimed.elapsed_ms(second) >= 0);
    Event elsewhere;
    elsewhere.record(current_stream("cpu:3"), true);
    if (device.is_cpu())
      CHECK(throws<DeviceError>("elapsed_ms: events of cpu:3 and cpu:0", [&] { second.elapsed_ms(elsewhere); }) == "");
    stream.synchronize();
    synchronize(device);
  }
  synchronize();
}

TEST_CASE("event: a CPU stream waits for a GPU's event, and a GPU's stream for the CPU's") {
  if (!cuda_or_skip()) return;
  Event gpu, cpu;
  gpu.record(current_stream("cuda:0"));
  current_stream("cpu:0").wait(gpu);
  CHECK(gpu.query());
  cpu.record(current_stream("cpu:0"));
  current_stream("cuda:0").wait(cpu);
  synchronize("cuda:0");
}

TEST_CASE("per device: one value each") {
  PerDevice<int> none;
  CHECK(none.empty());
  CHECK(none.size() == 0);
  PerDevice<int> some({"cpu:2", "cpu:0"}, {20, 0});
  CHECK(some.size() == 2);
  CHECK(some[0] == 20);
  CHECK(some.device(1) == Device("cpu:0"));
  CHECK(some.on("cpu:2") == 20);
  some.on("cpu:0") = 7;
  int sum = 0;
  for (const int value : some) sum += value;
  CHECK(sum == 27);
  CHECK(throws<DeviceError>("PerDevice: no value on cpu:1", [&] { some.on("cpu:1"); }) == "");
  CHECK(throws<DeviceError>("PerDevice: 1 values for 2 devices", [] {
          PerDevice<int>({"cpu:0", "cpu:1"}, {1});
        }) == "");
  CHECK_THROWS(some[2]);
  CHECK_THROWS(some[-1]);
  PerDevice<std::unique_ptr<int>> owners;  // values need not be copyable
  CHECK(owners.empty());
}
