#include "stream.h"

#include <algorithm>

#include <chrono>
#include <unordered_map>

#include "../reports.h"
#include "../sim.h"
#include "policy.h"

namespace weft::sim {
namespace {

// Destroyed ones stay, so that no new one gets the address of a dead handle.
std::unordered_map<void*, std::unique_ptr<Stream>> streams;
std::unordered_map<void*, std::unique_ptr<Event>> events;
std::vector<Stream*> living;  // not destroyed, or with work left
int streams_made[max_devices];
std::vector<uint32_t> issued(1), completed(1);  // per slot
std::vector<uint32_t> free_slots;
Clock host_clock(1);

double seconds_taken = 0;  // by operations that said so

double seconds_now() {
  return seconds_taken + std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr size_t queue_limit = 1024;  // hardware, too, makes the host wait for room in a long queue

uint32_t take_slot() {
  if (free_slots.empty()) {
    issued.push_back(0);
    completed.push_back(0);
    return static_cast<uint32_t>(issued.size() - 1);
  }
  const uint32_t slot = free_slots.back();
  free_slots.pop_back();
  return slot;
}

// What is known of a new operation, with its place in line `slot`.
OperationInfo info_for(const std::string& name, const void* kernel, int device, int stream, uint32_t slot) {
  return {.name = kernel ? nullptr : intern(name),
          .kernel = kernel,
          .device = device,
          .stream = stream,
          .slot = slot,
          .count = ++issued[slot]};
}

}  // namespace

void take_time(double seconds) { seconds_taken += seconds; }

void reset_streams() {
  streams.clear();
  living.clear();
  events.clear();
  for (int& made : streams_made) made = 0;
  issued.assign(1, 0);
  completed.assign(1, 0);
  free_slots.clear();
  host_clock.assign(1, 0);
}

Stream* create_stream(int device, bool blocking) {
  auto made = std::make_unique<Stream>();
  Stream* stream = made.get();
  streams[stream] = std::move(made);
  stream->device = device;
  stream->number = streams_made[device]++;
  stream->slot = take_slot();
  stream->blocking = blocking;
  stream->priority = first_priority();
  stream->clock.resize(stream->slot + 1);
  stream->clock[stream->slot] = issued[stream->slot];
  living.push_back(stream);
  return stream;
}

void destroy_stream(Stream* stream) {
  stream->destroyed = true;
  if (stream->queue.empty()) forget_stream(stream);
}

void forget_stream(Stream* stream) {
  free_slots.push_back(stream->slot);
  std::erase(living, stream);
}

Stream* find_stream(cudaStream_t handle, const char* who) {
  if (handle == nullptr || handle == cudaStreamLegacy || handle == cudaStreamPerThread) {
    report_once(std::string("default stream ") + who,
                std::string(who) + ": on the default stream; pass a stream made by cudaStreamCreateWithFlags");
    return nullptr;
  }
  auto found = streams.find(handle);
  if (found != streams.end() && !found->second->destroyed) return found->second.get();
  report(std::string(who) + ": on a stream that does not exist, or no longer");
  return nullptr;
}

Stream* stream_for_work(cudaStream_t handle, const char* who) {
  Stream* stream = find_stream(handle, who);
  if (!stream || stream->device == current_device()) return stream;
  report(std::string(who) + ": on a stream of cuda:" + std::to_string(stream->device) +
         " while the current device is cuda:" + std::to_string(current_device()) + "; call cudaSetDevice first");
  return nullptr;
}

Event* create_event(int device, bool timing) {
  auto made = std::make_unique<Event>();
  Event* event = made.get();
  events[event] = std::move(made);
  event->device = device;
  event->timing = timing;
  return event;
}

size_t live_streams_and_events() {
  const auto lives = [](const auto& entry) { return !entry.second->destroyed; };
  return static_cast<size_t>(std::count_if(streams.begin(), streams.end(), lives) +
                             std::count_if(events.begin(), events.end(), lives));
}

Event* find_event(cudaEvent_t handle, const char* who) {
  auto found = events.find(handle);
  if (found != events.end() && !found->second->destroyed) return found->second.get();
  report(std::string(who) + ": with an event that does not exist, or no longer");
  return nullptr;
}

const std::vector<Stream*>& all_streams() { return living; }

const Clock& clock_ahead(Stream& stream) {
  join(stream.clock, host_clock);
  return stream.clock;
}

void issue(Stream& stream, Issue what) {
  if (stream.queue.size() >= queue_limit) {
    run_until([&] { return stream.queue.size() < queue_limit; }, what.name.c_str());
  }
  const uint32_t number = add_operation(info_for(what.name, what.kernel, stream.device, stream.number, stream.slot));
  clock_ahead(stream);
  stream.clock[stream.slot] = issued[stream.slot];
  stream.queue.push_back({number, stream.clock, std::move(what.ready), std::move(what.run), what.kind});
}

void count_as_run(const Stream& stream) { ++completed[stream.slot]; }

bool has_run(uint32_t slot, uint32_t count) { return completed[slot] >= count; }

RecordPointPtr record_point(Stream& stream) {
  auto point = std::make_shared<RecordPoint>();
  const auto reach = [point] {
    point->done = true;
    point->seconds = seconds_now();
  };
  issue(stream, {.name = "cudaEventRecord", .run = reach, .kind = Kind::order});
  point->clock = stream.clock;
  return point;
}

void wait_for_point(Stream& stream, const RecordPointPtr& point) {
  join(stream.clock, point->clock);
  if (point->done) return;
  const auto reached = [point] { return point->done; };
  issue(stream, {.name = "cudaStreamWaitEvent", .run = [] {}, .ready = reached, .kind = Kind::order});
}

void host_knows(const Clock& clock) { join(host_clock, clock); }

void run_on_host(const char* name, const std::function<void()>& work) {
  const uint32_t number = add_operation(info_for(name, nullptr, current_device(), -1, host_slot));
  host_clock[host_slot] = completed[host_slot] = issued[host_slot];
  const Running before = running;
  running = {number, &host_clock, current_device()};
  work();
  running = before;
  operation_has_run(number);
}

}  // namespace weft::sim
