// A profile of a data-parallel training step: what every device does appears, and on all devices as often.
#include "weft/tensor/profile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/parallel/devices.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/collective_stream.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;

namespace {

struct Net : nn::Module {
  nn::Conv2d conv{1, 4, {.kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d norm{4, {.relu = true, .sync = true}};
  nn::Conv2d head{4, 3, {.kernel = 1}};
  WEFT_MEMBERS(conv, norm, head)
  Tensor forward(const Tensor& x) const { return head(norm(conv(x))); }
};

struct Training {
  explicit Training(const std::vector<Device>& devices)
      : model(net, devices, wrapped()),
        criterion(nn::SoftmaxCrossEntropyLoss(), devices, wrapped()),
        trainer(net.parameters(), nn::optim::SGD({.lr = 0.1})) {}
  void step() {
    PerDevice<Tensor> losses;
    {
      const ProfileRange range("forward");
      const autograd::Record record;
      losses = criterion(model(x), y);
    }
    parallel::parallel_backward(losses);
    trainer.step();
  }

  Tensor x = ones({8, 1, 6, 6}, {.device = "cpu"}), y = zeros({8, 6, 6}, {.dtype = DType::i64, .device = "cpu"});
  Net net;
  parallel::DataParallelModel<Net> model;
  parallel::DataParallelCriterion<nn::SoftmaxCrossEntropyLoss> criterion;
  parallel::Trainer trainer;
};

std::string key_of(const ProfileEvent& e) { return std::string(to_string(e.kind)) + " " + std::string(e.name); }

// Same thread, and one contains the other or they do not overlap.
bool nests(const std::vector<ProfileEvent>& events) {
  std::map<int, std::vector<const ProfileEvent*>> open;
  for (const ProfileEvent& e : events) {
    auto& stack = open[e.thread];
    stack.resize(std::min(stack.size(), static_cast<size_t>(e.depth)));
    if (stack.size() != static_cast<size_t>(e.depth)) return false;
    if (!stack.empty() && (e.begin < stack.back()->begin || e.end > stack.back()->end)) return false;
    if (e.kind != ProfileKind::allocation && e.kind != ProfileKind::release) stack.push_back(&e);
  }
  return true;
}

// In buckets of gradients; -1 if there is anything else.
int64_t tree_sums(const std::vector<ProfileEvent>& events) {
  int64_t sums = 0, others = 0;
  for (const ProfileEvent& bucket : events)
    for (const ProfileEvent& e : events)
      if (bucket.name == "bucket of gradients" && (e.kind == ProfileKind::operation || e.kind == ProfileKind::copy) &&
          e.thread == bucket.thread && e.begin >= bucket.begin && e.end <= bucket.end)
        ++(e.name == "tree_sum" ? sums : others);
  return others == 0 ? sums : -1;
}

}  // namespace

TEST_SUITE("parallel/profile") {
  TEST_CASE("a step of four ranks, on a device each where there are four") {
    for (const DeviceType type : kinds()) {
      CAPTURE(to_string(type));
      const std::vector<Device> devices = devices_of(type, 4);
      const size_t places = std::set<Device>(devices.begin(), devices.end()).size();
      const int ranks = static_cast<int>(4 / places);  // of a device
      Training training(devices);
      training.step();
      Profile profile;
      training.step();
      profile.stop();

      std::map<std::string, std::map<Device, int>> count;
      std::map<std::string, std::set<int>> threads;
      for (const ProfileEvent& e : profile.events()) {
        ++count[key_of(e)][e.stream.device];
        threads[key_of(e)].insert(e.thread);
        CHECK(e.finished);
        CHECK(!e.failed);
        if (e.kind != ProfileKind::operation) continue;
        CHECK(e.has_device_time() == (type == DeviceType::cuda));
        CHECK(e.bytes >= 0);  // every operation says what it reads and writes
      }
      CHECK(nests(profile.events()));
      // forward, loss, backward, update: on every device as often
      for (const char* name :
           {"conv2d", "batch_norm", "cross_entropy", "cross_entropy_backward", "conv2d_weight_gradient",
            "conv2d_input_gradient", "batch_norm_backward", "sgd_update"}) {
        const auto& per_device = count[std::string("operation ") + name];
        CAPTURE(name);
        REQUIRE(per_device.size() == places);
        for (const Device device : devices) CHECK(per_device.at(device) == per_device.at(devices[0]));
      }
      CHECK(count["operation conv2d"][devices[0]] == 2 * ranks);
      CHECK(count["operation conv2d_weight_gradient"][devices[0]] == 2 * ranks);
      CHECK(count["operation sgd_update"][devices[0]] == 1);  // whose ranks share the values
      // what one thread does for all, and what each worker does
      CHECK(threads["range forward"].size() == 1);
      CHECK(threads["pass backward"].size() == 1);
      CHECK(threads["pass update"].size() == 1);
      CHECK(threads["collective bucket of gradients"].size() == 1);
      CHECK(threads["pass worker: backward"].size() == 4);
      CHECK(threads["operation conv2d"].size() == 4);
      CHECK(threads["node conv2d"].size() == 4);
      size_t meetings = 0;
      for (const auto& [key, of] : threads)
        if (key.starts_with("meeting ")) meetings = std::max(meetings, of.size());
      CHECK(meetings == 4);
      int64_t bucket = 0;
      for (const ProfileEvent& e : profile.events())
        if (e.kind == ProfileKind::collective && e.name == "bucket of gradients") bucket += e.bytes;
      int64_t gradients = 0;
      for (const nn::Parameter& p : training.net.parameters()) gradients += p.numel() * 4;
      CHECK(bucket == 4 * gradients);
      CHECK(threads["collective all_reduce"].size() >= 1);
      // gradients on CPU devices are added up where they lie
      if (type == DeviceType::cpu) CHECK(tree_sums(profile.events()) == std::ssize(training.net.parameters()));
    }
  }

  TEST_CASE("collectives of a communicator: a part on each device's stream, with the device's time") {
    for (const DeviceType type : kinds(4)) {
      if (!has_communicator(type)) continue;
      Training training(devices_of(type, 4));
      training.step(), training.step();
      Profile profile;
      training.step();
      profile.stop();
      std::map<Device, std::multiset<int64_t>> sums;  // their bytes
      int64_t gradients = 0;
      for (const nn::Parameter& p : training.net.parameters()) gradients += p.numel() * 4;
      for (const ProfileEvent& e : profile.events()) {
        if (e.kind != ProfileKind::operation || e.name != "all_reduce") continue;
        CHECK(e.on_stream);
        CHECK(e.finished);
        CHECK(!e.failed);
        CHECK(e.shape.starts_with("float32["));
        CHECK(e.begin <= e.end);
        CHECK(e.device_begin >= 0);
        CHECK(e.device_end >= e.device_begin);
        sums[e.stream.device].insert(e.bytes);
        if (e.bytes == gradients) CHECK(e.stream == collective_stream(e.stream.device));
      }
      REQUIRE(sums.size() == 4);
      for (const auto& [device, bytes] : sums) {
        CHECK(bytes == sums.begin()->second);
        CHECK(bytes.count(gradients) == 1);
      }
    }
  }

  TEST_CASE("without a profile no part of a collective is recorded") {
    for (const DeviceType type : kinds(4)) {
      if (!has_communicator(type)) continue;
      Tensors x;
      for (const Device device : devices_of(type, 4)) x.push_back(ones({5}, {.device = device}));
      ops::all_reduce(x);
      Profile profile;
      synchronize();
      profile.stop();
      for (const ProfileEvent& e : profile.events()) CHECK(e.name != "all_reduce");
    }
  }

  TEST_CASE("streams of devices do one thing at a time, in the order it was queued") {
    for (const DeviceType type : kinds(4)) {  // with a thread each, which says what was queued first
      if (type == DeviceType::cpu) continue;
      Training training(devices_of(type, 4));
      Profile profile;
      training.step();
      std::map<std::pair<Device, uint64_t>, std::vector<ProfileEvent>> streams;
      for (const ProfileEvent& e : profile.events())
        if (e.has_device_time()) streams[{e.stream.device, e.stream.id}].push_back(e);
      CHECK(streams.size() >= 4);
      for (auto& [stream, events] : streams) {
        std::stable_sort(events.begin(), events.end(),
                         [](const ProfileEvent& a, const ProfileEvent& b) { return a.begin < b.begin; });
        for (size_t i = 1; i < events.size(); ++i) CHECK(events[i].device_begin >= events[i - 1].device_end);
      }
    }
  }

  TEST_CASE("an error in a worker leaves a profile that can be read") {
    Training training(devices_here(2));
    const Tensor wrong = ones({8, 2, 6, 6});  // two channels
    Profile profile;
    {
      const ProfileRange range("outer");
      CHECK_THROWS_AS(training.model(wrong), WorkerErrors);
    }
    training.step();
    CHECK(nests(profile.events()));
    for (const ProfileEvent& e : profile.events()) CHECK(e.finished);
  }
}
