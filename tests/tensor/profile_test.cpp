// Profiles: what they record of one thread and of several, their limit, their table, their trace.
// One file although it is long: all cases read the same events through the same helpers below, and a trace is checked
// against the table of the same profile.
#include "weft/tensor/profile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "tests/support/hooks.h"
#include "tests/support/json.h"
#include "tests/support/op_table.h"
#include "tests/support/temp_folder.h"
#include "weft/tensor/creation.h"
#include "weft/tensor/kernel.h"
#include "weft/tensor/ops/binary.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/unary.h"
#include "weft/tensor/tensor.h"

using namespace weft;
using namespace weft::test;

namespace {

struct NoArgs {};
constinit Kernel<NoArgs> breaking_kernel{"breaking_kernel"};
void breaks(const NoArgs&, Stream) { throw Error("breaking: as it should"); }

std::vector<ProfileEvent> without_memory(Profile& profile) {
  std::vector<ProfileEvent> events;
  for (const ProfileEvent& e : profile.events())
    if (e.kind != ProfileKind::allocation && e.kind != ProfileKind::release) events.push_back(e);
  return events;
}

bool within(const ProfileEvent& inner, const ProfileEvent& outer) {
  return inner.thread == outer.thread && outer.begin <= inner.begin && inner.end <= outer.end;
}

}  // namespace

TEST_SUITE("tensor/profile") {
  TEST_CASE("ranges and operations nest, with names, shapes and bytes") {
    for (const Device device : devices_to_test()) {
      CAPTURE(to_string(device));
      const DeviceGuard on(device);
      const Tensor a = ones({3, 4}), b = ones({4});
      Profile profile;
      {
        const ProfileRange outer("outer");
        {
          const ProfileRange inner(std::string("in") + "ner");
          ops::add(a, b);
        }
        ops::relu(a);
      }
      ops::add(a, a);
      const auto events = without_memory(profile);
      REQUIRE(events.size() == 5);
      const char* const names[] = {"outer", "inner", "add", "relu", "add"};
      const int depths[] = {0, 1, 2, 1, 0};
      const int64_t bytes[] = {-1, -1, 4 * (12 + 4 + 12), 4 * 24, 4 * 36};
      for (size_t i = 0; i < 5; ++i) {
        CAPTURE(i);
        CHECK(events[i].name == names[i]);
        CHECK(events[i].depth == depths[i]);
        CHECK(events[i].bytes == bytes[i]);
        CHECK(events[i].kind == (i < 2 ? ProfileKind::range : ProfileKind::operation));
        CHECK(events[i].stream == Stream{device});
        CHECK(events[i].finished);
        CHECK(!events[i].failed);
        CHECK(events[i].begin <= events[i].end);
        CHECK(events[i].has_device_time() == (i >= 2 && !device.is_cpu()));
        CHECK(profile.threads()[static_cast<size_t>(events[i].thread)] == "main");
      }
      CHECK(within(events[1], events[0]));
      CHECK(within(events[2], events[1]));
      CHECK(within(events[3], events[0]));
      CHECK(events[1].end <= events[3].begin);
      CHECK(events[0].end <= events[4].begin);
      CHECK(events[2].shape == "float32[3, 4]");
      CHECK(events[4].end <= profile.duration());
    }
  }

  TEST_CASE("nothing is recorded before and after, and one profile follows another") {
    const Tensor a = ones({4});
    ops::add(a, a);
    Profile first;
    ops::mul(a, a);
    first.stop();
    ops::sub(a, a);
    CHECK((detail::profiling & detail::profile_records) == 0);
    Profile second;
    ops::exp(a);
    second.stop();
    first.stop();  // again: nothing more
    REQUIRE(without_memory(first).size() == 1);
    CHECK(without_memory(first)[0].name == "mul");
    REQUIRE(without_memory(second).size() == 1);
    CHECK(without_memory(second)[0].name == "exp");
  }

  TEST_CASE("two at once are an error, and bad options too") {
    Profile profile;
    CHECK(throws<Error>("Profile: another one records already; stop() it first", [] { Profile another; }) == "");
    ops::relu(ones({4}));
    CHECK(profile.rows().size() > 1);  // the first one went on
    CHECK_NOTHROW(Profile());
    CHECK(throws<Error>("Profile: a limit of -1 events; use 0 or more", [] { Profile another({.limit = -1}); }) == "");
    CHECK_NOTHROW(Profile());
  }

  TEST_CASE("an operation that throws ends where the next thing begins or ends") {
    breaking_kernel.plug(DeviceType::cpu, breaks);
    const Tensor a = ones({4});
    Profile profile;
    {
      const ProfileRange range("range");
      CHECK_THROWS_AS(breaking_kernel({}, Stream{}), Error);
      ops::add(a, a);
      CHECK_THROWS_AS(breaking_kernel({}, Stream{}), Error);
    }
    ops::add(a, a);
    CHECK_THROWS_AS(breaking_kernel({}, Stream{}), Error);
    const auto events = without_memory(profile);
    REQUIRE(events.size() == 6);
    const int depths[] = {0, 1, 1, 1, 0, 0};
    const bool failed[] = {false, true, false, true, false, false};
    for (size_t i = 0; i < 6; ++i) {
      CAPTURE(i);
      CHECK(events[i].depth == depths[i]);
      CHECK(events[i].failed == failed[i]);
      CHECK(events[i].finished == (i != 5));  // nothing came after the last
      if (i > 0 && i < 4) CHECK(within(events[i], events[0]));
    }
    CHECK(events[1].name == "breaking");
    CHECK(events[1].end <= events[2].begin);
  }

  TEST_CASE("copies between devices say from where to where") {
    std::vector<Device> others{"cpu:1"};
    if (cuda_or_skip()) others.push_back("cuda:0");
    const Tensor a = ones({10}, {.device = "cpu:0"});
    for (const Device other : others) {
      CAPTURE(to_string(other));
      Profile profile;
      const Tensor there = ops::to(a, other);
      const Tensor back = ops::to(there, "cpu:0");
      std::vector<ProfileEvent> copies;
      bool waited = false;
      for (const ProfileEvent& e : without_memory(profile)) {
        if (e.kind == ProfileKind::copy) copies.push_back(e);
        CHECK(e.kind != ProfileKind::operation);  // the kernel that copies is part of the copy
        waited |= e.kind == ProfileKind::wait && e.name == "host waits for stream";
      }
      REQUIRE(copies.size() == 2);
      CHECK(copies[0].name == "copy cpu:0 to " + to_string(other));
      CHECK(copies[1].name == "copy " + to_string(other) + " to cpu:0");
      CHECK(copies[0].stream.device == other);
      for (const ProfileEvent& copy : copies) {
        CHECK(copy.bytes == 40);
        CHECK(copy.has_device_time() == !other.is_cpu());
      }
      CHECK(waited == !other.is_cpu());
    }
  }

  TEST_CASE("streams of CUDA devices keep their order and are told apart") {
    if (!cuda_or_skip()) return;
    const Stream other = Stream::create("cuda:0");
    const Tensor a = ones({4, 4}, {.device = "cuda:0"});
    synchronize();
    Profile profile;
    ops::exp(a);
    Event event;
    event.record(current_stream("cuda:0"));
    {
      const StreamGuard guard(other);
      other.wait(event);
      ops::relu(a);
      ops::mul(a, a);
    }
    event.record(other);
    event.synchronize();
    std::map<std::string, ProfileEvent> by_name;
    for (const ProfileEvent& e : without_memory(profile)) by_name[std::string(e.name)] = e;
    REQUIRE(by_name.size() == 5);
    CHECK(by_name["exp"].stream.id == 0);
    CHECK(by_name["relu"].stream == other);
    CHECK(by_name["stream waits for event"].stream == other);
    CHECK(by_name["stream waits for event"].kind == ProfileKind::wait);
    CHECK(by_name["host waits for event"].kind == ProfileKind::wait);
    for (const char* name : {"exp", "relu", "mul"}) CHECK(by_name[name].has_device_time());
    CHECK(by_name["exp"].device_end <= by_name["relu"].device_begin + 1);  // it waited; marks are rounded
    CHECK(by_name["relu"].device_end <= by_name["mul"].device_begin);
  }

  TEST_CASE("memory: what is allocated, released, and the peak") {
    const DeviceGuard on("cpu:7");
    const int64_t before = memory_stats("cpu:7").in_use;
    Profile profile;
    {
      const Tensor a = empty({1000});
      { const Tensor b = empty({500}); }
      const Tensor c = empty({250});
    }
    std::vector<int64_t> in_use;
    for (const ProfileEvent& e : profile.events()) {
      REQUIRE(e.stream.device == "cpu:7");
      in_use.push_back(e.in_use - before);
    }
    CHECK(in_use == std::vector<int64_t>{4000, 6000, 4000, 5000, 4000, 0});
    REQUIRE(profile.memory().size() == 1);
    CHECK(profile.memory()[0].device == "cpu:7");
    CHECK(profile.memory()[0].allocations == 3);
    CHECK(profile.memory()[0].bytes == 7000);
    CHECK(profile.memory()[0].peak == before + 6000);

    Profile light({.memory = false});
    { const Tensor a = empty({1000}); }
    CHECK(light.events().empty());
    REQUIRE(light.memory().size() == 1);
    CHECK(light.memory()[0].peak == before + 4000);
  }

  TEST_CASE("memory is bounded: what is beyond the limit is counted") {
    const Tensor a = ones({4});
    Profile profile({.limit = 3, .memory = false});
    for (int i = 0; i < 5; ++i) {
      const ProfileRange range("range");
      ops::add(a, a);
    }
    CHECK(profile.events().size() == 3);
    CHECK(profile.dropped() == 7);
    CHECK(profile.table().find("dropped 7 events beyond the limit of 3") != std::string::npos);
  }

  TEST_CASE("rows add up what the events say") {
    const Tensor a = ones({100, 100}), b = ones({100});
    Profile profile;
    for (int i = 0; i < 4; ++i) {
      const ProfileRange range("step");
      ops::add(a, b);
      ops::exp(a);
      ops::to(b, "cpu:1");
    }
    std::map<std::pair<ProfileKind, std::string>, ProfileRow> sums;
    double total = 0;
    for (const ProfileEvent& e : profile.events()) {
      ProfileRow& row = sums[{e.kind, std::string(e.name)}];
      row.calls += 1;
      row.total += e.duration();
      row.bytes += e.bytes < 0 ? 0 : e.bytes;
      if (e.kind == ProfileKind::operation || e.kind == ProfileKind::copy) total += e.duration();
    }
    const std::vector<ProfileRow> rows = profile.rows();
    CHECK(rows.size() == sums.size());
    double shares = 0;
    for (const ProfileRow& row : rows) {
      CAPTURE(row.name);
      const ProfileRow& sum = sums[{row.kind, row.name}];
      CHECK(row.calls == sum.calls);
      CHECK(row.total == doctest::Approx(sum.total));
      CHECK(row.mean() == doctest::Approx(sum.total / static_cast<double>(sum.calls)));
      shares += row.share;
      if (row.kind == ProfileKind::range) {
        CHECK(row.share == 0);
        CHECK(row.bytes == -1);
        continue;
      }
      CHECK(row.bytes == sum.bytes + 1);  // which began at -1
      const bool work = row.kind == ProfileKind::operation || row.kind == ProfileKind::copy;
      CHECK(row.share == doctest::Approx(work ? row.total / total : 0));
      if (work) CHECK(row.rate * row.total * 1000 == doctest::Approx(static_cast<double>(row.bytes)));
    }
    CHECK(shares == doctest::Approx(1));
    const std::string table = profile.table();
    for (const char* part :
         {"\nadd ", "\nexp ", "\ncopy cpu:0 to cpu:1 ", "\nrange\n  step ", "memory of cpu:0: peak"}) {
      CAPTURE(part);
      CHECK(table.find(part) != std::string::npos);
    }
  }

  TEST_CASE("the trace is JSON with what Chrome asks for") {
    const Device device = devices_to_test().back();
    const Tensor a = ones({8}, {.device = device});
    const std::string odd = "a \"b\"\\c\n\t\x01 d\xc3\xa9";
    Profile profile;
    {
      const ProfileRange range(odd);
      ops::exp(a);
    }
    const TempFolder folder;
    profile.save_trace(folder / "trace.json");
    const std::string text = read_file(folder / "trace.json");
    const Json trace = JsonReader(text).whole();
    std::map<std::string, std::string> processes;
    std::set<std::pair<std::string, std::string>> rows;
    std::map<std::string, int> categories;
    for (const Json& e : trace.at("traceEvents").items) {
      const std::string &phase = e.at("ph").text, &process = e.at("pid").text, &name = e.at("name").text;
      if (phase == "M" && name == "process_name") processes[process] = e.at("args").at("name").text;
      if (phase == "M" && name == "thread_name") rows.insert({process, e.at("tid").text});
      if (phase == "C") CHECK(e.at("args").at("bytes").number() >= 0);
      if (phase != "X") continue;
      CHECK(e.at("ts").number() >= 0);
      CHECK(e.at("dur").number() >= 0);
      REQUIRE(processes.count(process) == 1);  // names come first
      REQUIRE(rows.count({process, e.at("tid").text}) == 1);
      const std::string& category = e.at("cat").text;
      ++categories[category];
      if (category == "range") CHECK(name == odd);
      if (category == "operation") {
        CHECK(name == "exp");
        CHECK(processes[process] == to_string(device));
        CHECK(e.at("args").at("bytes").text == "64");
        CHECK(e.at("args").at("shape").text == "float32[8]");
      } else {
        CHECK(processes[process] == "host");
      }
    }
    CHECK(categories["range"] == 1);
    CHECK(categories["operation"] == 1);
    CHECK(categories["launch"] == (device.is_cpu() ? 0 : 1));
    CHECK(trace.at("otherData").at("dropped").text == "0");
    CHECK(throws<Error>("Profile: '…/no/trace.json' could not be written: …",
                        [&] { profile.save_trace(folder / "no/trace.json"); }) == "");
  }

  TEST_CASE("threads come and go while profiles do") {
    std::atomic<bool> done{false};
    std::atomic<int> rounds{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        const DeviceGuard on(Device(DeviceType::cpu, t));
        const Tensor a = ones({16});
        while (!done) {
          const ProfileRange range("round");
          const ProfileRange copied(std::to_string(t));
          ops::add(a, a);
          std::thread([&] { ops::relu(a); }).join();
          ++rounds;
        }
      });
    int64_t unfinished = 0;
    std::map<int, int> devices;
    for (int i = 0; i < 20; ++i) {
      Profile profile({.limit = 500});
      for (const int until = rounds + 8; rounds < until;) std::this_thread::yield();
      for (const ProfileEvent& e : profile.events()) {
        if (!e.finished) ++unfinished;
        if (e.name == "add") ++devices[e.stream.device.index];
        if (e.name == "add") CHECK(e.bytes == 3 * 64);
        CHECK(e.end <= profile.duration());
        CHECK(e.begin <= e.end);
      }
      CHECK(profile.events().size() <= 500);
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
    CHECK(devices.size() == 4);
    CHECK(unfinished > 0);  // the threads were in the middle of something, at least once
    CHECK((detail::profiling & detail::profile_records) == 0);
  }

  TEST_CASE("scopes are shown to a tool as they nest, also when an operation throws") {
    static thread_local std::vector<std::string>* shown = nullptr;
    static thread_local int depth = 0;
    static const detail::RangeDisplay display{
        .push =
            [](const char* name) noexcept {
              if (shown) shown->push_back(std::string(static_cast<size_t>(depth), '.') + name);
              ++depth;
            },
        .pop = []() noexcept { --depth; },
    };
    detail::register_range_display(display, false);
    std::vector<std::string> names;
    shown = &names;
    breaking_kernel.plug(DeviceType::cpu, breaks);
    const Tensor a = ones({4});
    ops::add(a, a);  // not asked for yet
    {
      Profile profile({.nvtx = true});
      const ProfileRange range("range");
      CHECK_THROWS_AS(breaking_kernel({}, Stream{}), Error);
      ops::add(a, a);
      profile.stop();
      ops::add(a, a);
    }
    CHECK(depth == 0);
    shown = nullptr;
    CHECK(names == std::vector<std::string>{"range", ".breaking", ".add"});
  }
}
