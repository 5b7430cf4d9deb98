#include "weft/nn/data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <thread>

namespace weft::data {

namespace {

// Batches are numbered through all epochs; batch b of rollover takes samples [b B, (b + 1) B) of the endless row of
// epochs and belongs to the epoch of its last one.
struct Plan {
  int64_t samples, batch;
  bool shuffle;
  uint64_t seed;
  LastBatch last;

  int64_t first_batch(int64_t epoch) const {
    if (last == LastBatch::keep) return epoch * ((samples + batch - 1) / batch);
    if (last == LastBatch::discard) return epoch * (samples / batch);
    return epoch * samples / batch;
  }
  // Place in the row of epochs of the first sample of a batch, and their number.
  std::pair<int64_t, int64_t> range(int64_t number) const {
    if (last == LastBatch::rollover) return {number * batch, batch};
    const int64_t per_epoch = first_batch(1), at = number % per_epoch * batch;
    return {number / per_epoch * samples + at, std::min(batch, samples - at)};
  }
  std::vector<size_t> order(int64_t epoch) const {
    std::vector<size_t> order(static_cast<size_t>(samples));
    std::iota(order.begin(), order.end(), size_t{0});
    SampleRandom random(~seed, static_cast<uint64_t>(epoch), 0);
    if (shuffle)
      for (size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
    return order;
  }
};

struct Made {
  std::optional<Batch> batch;
  std::exception_ptr error;
};

}  // namespace

struct Loader::State {
  Plan plan;
  Make make_sample;
  int prefetch;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<int64_t, Made> ready;
  int64_t next_to_make = 0, next_to_give = 0, epoch = 0;
  int64_t generation = 0;  // grows with every seek: what was begun before it is dropped
  bool stop = false;
  std::vector<std::thread> workers;

  Batch make(int64_t number) {
    const auto [first, count] = plan.range(number);
    std::vector<Sample> samples;
    int64_t known = -1;
    std::vector<size_t> order;
    for (int64_t at = first; at < first + count; ++at) {
      const int64_t of = at / plan.samples;
      if (of != known) order = plan.order(known = of);
      const size_t index = order[static_cast<size_t>(at % plan.samples)];
      if (stopped()) break;
      try {
        SampleRandom random(plan.seed, static_cast<uint64_t>(of), index);
        samples.push_back(make_sample(index, random));
      } catch (const std::exception& error) {
        fail<DataError>("loader: sample ", static_cast<int64_t>(index), " of epoch ", of, ": ",
                        std::string(error.what()));
      }
    }
    return samples.empty() ? Batch{} : collate(samples);
  }
  bool stopped() {
    const std::lock_guard lock(mutex);
    return stop;
  }
  Made try_make(int64_t number) {
    try {
      return {make(number), nullptr};
    } catch (...) {
      return {std::nullopt, std::current_exception()};
    }
  }
  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return stop || next_to_make < next_to_give + prefetch; });
      if (stop) return;
      const int64_t number = next_to_make++, begun = generation;
      lock.unlock();
      Made made = try_make(number);
      lock.lock();
      if (begun != generation) continue;
      ready[number] = std::move(made);
      changed.notify_all();
    }
  }
};

Loader::Loader(size_t samples, Make make, const LoaderOptions& options) : state_(std::make_unique<State>()) {
  WEFT_CHECK(Error, samples > 0 && options.batch > 0, "Loader: ", static_cast<int64_t>(samples),
             " samples in batches of ", options.batch, "; both must be positive");
  const auto count = static_cast<int64_t>(samples);
  WEFT_CHECK(Error, options.last != LastBatch::discard || count >= options.batch, "Loader: ", count,
             " samples do not fill one batch of ", options.batch, ", and the last one is discarded; keep it");
  State& state = *state_;
  state.plan = {count, options.batch, options.shuffle, options.seed, options.last};
  state.make_sample = std::move(make);
  state.prefetch = std::max(1, options.prefetch);
  for (int i = 0; i < options.workers; ++i) state.workers.emplace_back([&state] { state.work(); });
}

Loader::~Loader() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
    state_->changed.notify_all();
  }
  for (std::thread& worker : state_->workers) worker.join();
}

std::optional<Batch> Loader::next() {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  if (state.next_to_give >= state.plan.first_batch(state.epoch + 1)) {
    ++state.epoch;
    return std::nullopt;
  }
  const int64_t number = state.next_to_give;
  Made made;
  if (state.workers.empty()) {
    lock.unlock();
    made = state.try_make(number);
    lock.lock();
  } else {
    state.changed.wait(lock, [&] { return state.ready.count(number) > 0; });
    made = std::move(state.ready.extract(number).mapped());
  }
  ++state.next_to_give;
  state.changed.notify_all();
  lock.unlock();
  if (made.error) std::rethrow_exception(made.error);
  return std::move(made.batch);
}

int64_t Loader::batches(int64_t epoch) const {
  return state_->plan.first_batch(epoch + 1) - state_->plan.first_batch(epoch);
}

Loader::Position Loader::position() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->epoch, state_->next_to_give - state_->plan.first_batch(state_->epoch)};
}

void Loader::seek(const Position& position) {
  WEFT_CHECK(IndexError, position.epoch >= 0 && position.batch >= 0 && position.batch <= batches(position.epoch),
             "Loader: no batch ", position.batch, " in epoch ", position.epoch, ", which has ",
             position.epoch < 0 ? 0 : batches(position.epoch));
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->generation;
    state_->ready.clear();
    state_->epoch = position.epoch;
    state_->next_to_give = state_->next_to_make = state_->plan.first_batch(position.epoch) + position.batch;
    state_->changed.notify_all();
  }
}

}  // namespace weft::data
