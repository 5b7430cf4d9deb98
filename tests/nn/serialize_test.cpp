#include "weft/nn/serialize.h"

#include <doctest/doctest.h>

#include "tests/support/faults.h"
#include "tests/support/hooks.h"
#include "tests/support/temp_folder.h"
#include "weft/nn/batch_norm.h"
#include "weft/nn/conv2d.h"
#include "weft/nn/linear.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::nn;

namespace {

struct Net : Module {
  Conv2d conv{2, 3, {.kernel = 3, .bias = false}};
  BatchNorm2d bn{3};
  Linear fc{3, 4};
  WEFT_MEMBERS(conv, bn, fc)
};

// Every value of the module, on every device.
std::vector<std::vector<float>> values(const Module& module) {
  std::vector<std::vector<float>> all;
  const auto add = [&all](const Placed& p) {
    for (int i = 0; i < p.places(); ++i) all.push_back(p.at(i).to_vector<float>());
  };
  for (const Parameter& p : module.parameters()) add(p);
  for (const Buffer& b : module.buffers()) add(b);
  return all;
}

std::string error_of_load(const Module& module, const std::string& path, const LoadOptions& options = {}) {
  try {
    load(module, path, options);
    return "";
  } catch (const CheckpointError& e) {
    return e.what();
  }
}

}  // namespace

TEST_SUITE("nn/serialize") {
  TEST_CASE("saved and loaded: the same bits on all devices, running statistics too") {
    const test::TempFolder folder;
    seed(1);
    Net a;
    a.bn.running_var.set(full({3}, 1.0 / 3));
    seed(2);
    Net b;
    b.to({"cpu:1", "cpu:2"});
    save(a, folder / "net.safetensors", {{"epoch", "3"}});
    CHECK(load(b, folder / "net.safetensors").complete());
    const auto expected = values(a), found = values(b);
    REQUIRE(found.size() == 2 * expected.size());
    for (size_t i = 0; i < found.size(); ++i) CHECK(found[i] == expected[i / 2]);
    CHECK(b.conv.weight.at(1).is_contiguous(Layout::channels_last));  // as it was made
    CHECK(b.fc.bias.at(0).requires_grad());
  }

  TEST_CASE("a module saved on any device is loaded on the host, and back") {
    const test::TempFolder folder;
    for (const Device device : test::devices_to_test()) {
      Net a, b, c;
      a.to(device), c.to(device);
      save(a, folder / "f");
      load(b, folder / "f");
      load(c, folder / "f");
      CHECK(values(b) == values(a));
      CHECK(values(c) == values(a));
    }
  }

  TEST_CASE("what does not fit is listed whole, and nothing is changed") {
    const test::TempFolder folder;
    Net net;
    NamedTensors state = state_of(net);
    for (auto& [name, tensor] : state)
      if (name == "fc.weight") tensor = zeros({3, 4});
    std::erase_if(state,
                  [](const auto& named) { return named.first == "bn.bias" || named.first == "bn.running_mean"; });
    for (auto& [name, tensor] : state) tensor = tensor + 1;
    state.emplace_back("head.bias", zeros({1}));
    state.emplace_back("bn.num_batches_tracked", tensor<int64_t>(100));
    write_safetensors(folder / "f", state);
    const auto before = values(net);
    CHECK(error_of_load(net, folder / "f") ==
          "load: the file does not fit the module:\n"
          "  2 missing in the file:\n    bn.bias\n    bn.running_mean\n"
          "  1 unexpected in the file:\n    head.bias\n"
          "  1 of another shape:\n    fc.weight: [4, 3] here, [3, 4] in the file\n"
          "  Nothing was changed; strict = false takes what fits");
    CHECK(values(net) == before);
    const LoadReport report = load(net, folder / "f", {.strict = false});
    CHECK(report.missing == std::vector<std::string>{"bn.bias", "bn.running_mean"});
    CHECK(report.unexpected == std::vector<std::string>{"head.bias"});
    CHECK(report.wrong_shape.size() == 1);
    CHECK(net.bn.weight.at(0).to_vector<float>() == std::vector<float>{2, 2, 2});
    CHECK(values(net)[3] == before[3]);  // fc.weight
  }

  TEST_CASE("prefixes and new names; f16 files") {
    const test::TempFolder folder;
    Net a, b;
    NamedTensors state;
    for (const auto& [name, tensor] : state_of(a)) {
      std::string other = "module." + name;
      if (name.starts_with("conv.")) other = "module.backbone.c1." + name.substr(5);
      if (name == "fc.bias") other = "shift";
      state.emplace_back(other, tensor.to(DType::f16));
    }
    write_safetensors(folder / "f", state);
    const LoadOptions options{.strip_prefix = "module.", .rename = {{"backbone.c1.", "conv."}, {"shift", "fc.bias"}}};
    CHECK(load(b, folder / "f", options).complete());
    for (size_t i = 0; i < state.size(); ++i)
      CHECK(state_of(b)[i].second.to_vector<float>() == state[i].second.to_vector<float>());
    CHECK(error_of_load(b, folder / "f", {.rename = {{"shift", "module.fc.weight"}}}).find("both become") !=
          std::string::npos);
  }

  TEST_CASE("a damaged file, or one of types that weft lacks, changes nothing") {
    const test::TempFolder folder;
    Net net;
    save(net, folder / "f");
    const auto before = values(net);
    std::string bytes = test::read_file(folder / "f");
    bytes.back() ^= 4;
    test::write_file(folder / "f", bytes);
    CHECK(error_of_load(net, folder / "f").find("is damaged") != std::string::npos);
    const std::string json = "{\"fc.bias\":{\"dtype\":\"U32\",\"shape\":[4],\"data_offsets\":[0,16]}}";
    test::write_file(folder / "g", std::string(1, static_cast<char>(json.size())) + std::string(7, '\0') + json +
                                       std::string(16, '\0'));
    CHECK_THROWS_AS(load(net, folder / "g", {.strict = false}), DtypeError);
    CHECK(values(net) == before);
  }

  TEST_CASE("memory runs out at any allocation of a load: the module is unchanged, a second try works") {
    if (!test::can_fail(test::HostFault::pool)) return;
    const test::TempFolder folder;
    Linear a(64, 48), b(64, 48);
    b.to({"cpu:0", "cpu:1"});
    save(a, folder / "f");
    const auto before = values(b);
    int fired = 0;
    for (int64_t n = 0; n < 1000; ++n) {
      empty_cache("cpu:0"), empty_cache("cpu:1");
      bool threw = false;
      {
        const test::FailAllocations fault(test::HostFault::pool, n, 2);  // the pool tries twice
        try {
          load(b, folder / "f");
        } catch (const OutOfMemory&) {
          threw = true;
        }
        fired += fault.fired() > 0;
        if (!threw) {
          CHECK(fault.fired() < 2);
          break;
        }
      }
      CHECK(values(b) == before);
    }
    MESSAGE("allocations that failed: " << fired);
    CHECK(fired >= 3);  // the file's tensor, and a copy for each device
    CHECK(b.weight.at(1).to_vector<float>() == a.weight.at(0).to_vector<float>());
  }
}
