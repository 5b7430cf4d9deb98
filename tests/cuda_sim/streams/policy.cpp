#include "policy.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "../lock.h"
#include "../sim.h"
#include "stream.h"

namespace weft::sim {
namespace {

enum class Policy { fifo, newest, random, starve, pct };

constexpr uint64_t pct_horizon = 4096;  // change points lie among this many first operations, then again

struct State {
  Schedule schedule;
  Policy policy = Policy::fifo;
  uint64_t parameter = 0;
  std::mt19937_64 random;
  uint64_t picks = 0;
  std::vector<uint64_t> change_points;  // of pct, in picks modulo the horizon
  double lowest = 0;                    // below every priority so far
};

uint64_t parse_number(const std::string& text, const std::string& policy) {
  if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos) {
    throw std::invalid_argument("cuda simulator: policy '" + policy +
                                "' wants a number behind the colon, as in starve:1");
  }
  return std::stoull(text);
}

State parse(const Schedule& schedule) {
  State state;
  state.schedule = schedule;
  const std::string& text = schedule.policy;
  if (text == "fifo") {
    state.policy = Policy::fifo;
  } else if (text == "newest") {
    state.policy = Policy::newest;
  } else if (text == "random") {
    state.policy = Policy::random;
  } else if (text.starts_with("starve:")) {
    state.policy = Policy::starve;
    state.parameter = parse_number(text.substr(7), text);
  } else if (text.starts_with("pct:")) {
    state.policy = Policy::pct;
    state.parameter = parse_number(text.substr(4), text);
  } else {
    throw std::invalid_argument("cuda simulator: unknown policy '" + text +
                                "'; use fifo, newest, random, starve:k or pct:d");
  }
  state.random.seed(schedule.seed);
  if (state.policy == Policy::pct) {
    for (uint64_t i = 1; i < state.parameter; ++i) state.change_points.push_back(state.random() % pct_horizon);
  }
  return state;
}

Schedule from_environment() {
  Schedule schedule;
  if (const char* policy = std::getenv("WEFT_SIM_POLICY")) schedule.policy = policy;
  if (const char* seed = std::getenv("WEFT_SIM_SEED")) schedule.seed = std::strtoull(seed, nullptr, 10);
  if (const char* order = std::getenv("WEFT_SIM_ORDER")) {
    const std::string text = order;
    const Order value = text == "descending" ? Order::descending
                        : text == "shuffled" ? Order::shuffled
                                             : Order::ascending;
    if (value == Order::ascending && text != "ascending") {
      throw std::invalid_argument("cuda simulator: WEFT_SIM_ORDER is '" + text +
                                  "'; use ascending, descending or shuffled");
    }
    schedule.threads = schedule.blocks = value;
  }
  return schedule;
}

State& state() {
  static State value = parse(from_environment());
  return value;
}

uint32_t first_number(const Stream* stream) { return stream->queue.front().number; }

Stream* pick_starving(const std::vector<Stream*>& ready) {
  const Stream* starved = all_streams()[state().parameter % all_streams().size()];
  for (Stream* stream : ready) {
    if (stream != starved) return stream;
  }
  return ready.front();
}

Stream* pick_by_priority(const std::vector<Stream*>& ready) {
  State& now = state();
  Stream* best = *std::max_element(ready.begin(), ready.end(),
                                   [](const Stream* a, const Stream* b) { return a->priority < b->priority; });
  if (std::count(now.change_points.begin(), now.change_points.end(), now.picks % pct_horizon) != 0) {
    best->priority = now.lowest -= 1;
  }
  return best;
}

}  // namespace

Stream* pick(const std::vector<Stream*>& ready) {
  State& now = state();
  ++now.picks;
  const auto older = [](const Stream* a, const Stream* b) { return first_number(a) < first_number(b); };
  switch (now.policy) {
    case Policy::newest:
      return *std::max_element(ready.begin(), ready.end(), older);
    case Policy::random:
      return ready[now.random() % ready.size()];
    case Policy::starve:
      return pick_starving(ready);
    case Policy::pct:
      return pick_by_priority(ready);
    case Policy::fifo:
      break;
  }
  return *std::min_element(ready.begin(), ready.end(), older);
}

double first_priority() { return std::uniform_real_distribution<double>(0, 1)(state().random); }

std::mt19937_64& schedule_random() { return state().random; }

void restart_schedule() { state() = parse(state().schedule); }

void set_schedule(const Schedule& schedule) {
  Lock lock;
  state() = parse(schedule);
}

Schedule schedule() {
  Lock lock;
  return state().schedule;
}

}  // namespace weft::sim
