// Running what is queued.
#include <string>

#include "../lock.h"
#include "../memory/region.h"
#include "../reports.h"
#include "../runtime/status.h"
#include "policy.h"
#include "stream.h"

namespace weft::sim {
namespace {

double deadlock_seconds = 5;

bool is_ready(const Stream& stream) {
  if (stream.queue.empty() || stream.busy) return false;
  const Operation& first = stream.queue.front();
  return !first.ready || first.ready();
}

void run_first(Stream& stream) {
  Operation& first = stream.queue.front();  // others may be appended while it runs
  stream.busy = true;
  if (first.kind == Kind::host_function) {
    close_arenas();
    unlocked(first.run);
  } else if (first.kind == Kind::order || sticky_error(stream.device) == cudaSuccess) {
    open_arena(stream.device);
    running = {first.number, &first.clock, stream.device};
    first.run();
    running = {};
  }
  stream.busy = false;
  operation_has_run(first.number);
  stream.queue.pop_front();
  count_as_run(stream);
  if (stream.destroyed && stream.queue.empty()) forget_stream(&stream);
}

// Streams whose next operation waits for other threads, or runs in one.
std::string blocked_streams() {
  std::string text;
  for (const Stream* stream : all_streams()) {
    if (stream->queue.empty() || (!stream->busy && stream->queue.front().kind != Kind::meeting)) continue;
    text += (text.empty() ? "" : ", ") + operation_name(stream->queue.front().number);
  }
  return text;
}

}  // namespace

bool step() {
  static std::vector<Stream*> ready;
  ready.clear();
  for (Stream* stream : all_streams()) {
    if (is_ready(*stream)) ready.push_back(stream);
  }
  if (ready.empty()) return false;
  run_first(*pick(ready));
  return true;
}

bool run_until(const std::function<bool()>& condition, const char* who) {
  bool holds = true;
  while (holds && !condition()) {
    if (step()) continue;
    close_arenas();
    const std::string blocked = blocked_streams();
    if (!blocked.empty() && wait_for_other_threads(deadlock_seconds)) continue;
    report(std::string("deadlock: ") + who + " waits for what no queued operation can bring about" +
           (blocked.empty() ? "" : "; blocked: " + blocked));
    holds = false;
  }
  close_arenas();
  return holds;
}

bool run_until_idle(const std::function<bool(const Stream&)>& belongs, const char* who) {
  std::vector<std::pair<uint32_t, uint32_t>> ends;  // what is queued now, not what other threads add meanwhile
  Clock reached;
  for (Stream* stream : all_streams()) {
    if (!belongs(*stream)) continue;
    ends.emplace_back(stream->slot, stream->clock[stream->slot]);
    join(reached, stream->clock);
  }
  const auto ended = [&] {
    for (auto [slot, count] : ends) {
      if (!has_run(slot, count)) return false;
    }
    return true;
  };
  if (!run_until(ended, who)) return false;
  host_knows(reached);
  return true;
}

void run_all() {
  Lock lock;
  while (step()) {
  }
  close_arenas();
}

size_t pending() {
  Lock lock;
  size_t count = 0;
  for (const Stream* stream : all_streams()) count += stream->queue.size();
  return count;
}

void set_deadlock_seconds(double seconds) {
  Lock lock;
  deadlock_seconds = seconds;
}

}  // namespace weft::sim
