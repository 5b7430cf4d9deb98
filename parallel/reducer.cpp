#include "weft/parallel/reducer.h"

#include <algorithm>

#include "weft/autograd/record_scope.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/collective_stream.h"
#include "weft/tensor/stream_order.h"

namespace weft::parallel {

namespace {

// Current streams with the devices' streams of sums in place of theirs.
std::vector<Stream> with_streams_of_sums(const std::vector<Device>& devices) {
  std::vector<Stream> streams = current_streams();
  for (const Device device : devices) set_in(streams, collective_stream(device));
  return streams;
}

}  // namespace

struct Reducer::Early {
  struct Place {
    Tensor flat;
    Stream stream;       // that computes the gradients
    size_t missing = 0;  // leaves that are not ready
    Event flattened;     // all are in `flat`
    Event summed;
  };
  struct Kept {
    Tensor gradient;
    uint32_t version = 0;
  };
  bool direct;  // without flats
  std::vector<Place> places;
  std::vector<std::vector<Kept>> kept;  // what was summed, by part and place
  size_t missing = 0;                   // places that are not complete
  bool given_up = false;
  Tensors sums;
  std::exception_ptr error;

  explicit Early(const Bucket& bucket)
      : direct(bucket.is_direct()),
        places(bucket.places()),
        kept(bucket.parts.size(), std::vector<Kept>(bucket.places())),
        missing(places.size()) {
    for (Place& place : places) place.missing = bucket.parts.size();
  }

  bool still_right(const Bucket& bucket) const {
    for (size_t k = 0; k < kept.size(); ++k)
      for (size_t i = 0; i < places.size(); ++i) {
        const Tensor& now = static_cast<const autograd::Leaf*>(bucket.parts[k].leaves[i].raw())->grad();
        const Kept& then = kept[k][i];
        if (!now.defined() || &now.impl() != &then.gradient.impl() || now.storage().version() != then.version)
          return false;
      }
    return true;
  }

  void start(const Bucket& bucket) {
    if (direct) {  // CPU streams run inline
      std::vector<Tensors> gradients;
      for (const auto& part : kept) {
        gradients.emplace_back();
        for (const Kept& k : part) gradients.back().push_back(k.gradient.detach());
      }
      sums = bucket.sum(gradients);
      return;
    }
    const StreamsGuard streams(with_streams_of_sums(bucket.devices));
    Tensors flats;
    for (size_t i = 0; i < places.size(); ++i) {
      const Stream here = current_stream(bucket.devices[i]);
      here.wait(places[i].flattened);
      places[i].flat.storage().record_stream(here);
      flats.push_back(places[i].flat);
    }
    sums = bucket.sum_flat(flats);
    for (size_t i = 0; i < places.size(); ++i) places[i].summed.record(current_stream(bucket.devices[i]));
  }
  // Out of memory: summed afterwards, when the pass has released its own. Else for the trainer to tell.
  void fail(std::exception_ptr what) noexcept {
    given_up = true;
    try {
      std::rethrow_exception(what);
    } catch (const std::bad_alloc&) {
      return;
    } catch (const OutOfMemory&) {
      return;
    } catch (...) {
      if (!error) error = std::move(what);
    }
  }
  bool ended() const {
    return std::all_of(places.begin(), places.end(), [](const Place& place) { return place.summed.query(); });
  }
};

struct Reducer::Run {
  uint64_t pass;
  std::shared_ptr<const std::vector<Bucket>> buckets;
  std::vector<Early> early = {};
  size_t next = 0;        // bucket to start
  bool starting = false;  // a worker is at it, or one failed

  // Memory that a stream of sums has read returns to the stream that wrote it, which then waits for the former. So it
  // is kept while there is anything to wait for; what is left when the trainer takes the sums goes then.
  void release_flats(size_t started) {
    if (started == 0 || !early[started - 1].ended()) return;
    for (size_t b = 0; b < started; ++b)
      for (Early::Place& place : early[b].places) place.flat = Tensor();
  }
};

Reducer::Reducer() = default;
Reducer::~Reducer() = default;

void Reducer::expect(const std::vector<Bucket>& buckets) {
  {
    std::shared_ptr<Run> old;
    const std::lock_guard lock(mutex_);
    run_.swap(old);
    if (buckets_ && std::equal(buckets.begin(), buckets.end(), buckets_->begin(), buckets_->end(),
                               [](const Bucket& a, const Bucket& b) { return a.same(b); }))
      return;
  }
  auto known = std::make_shared<const std::vector<Bucket>>(buckets);
  std::unordered_map<const TapeSlot*, Where> where;
  for (size_t b = 0; b < buckets.size(); ++b)
    for (size_t k = 0; k < buckets[b].parts.size(); ++k)
      for (size_t i = 0; i < buckets[b].places(); ++i) where[buckets[b].parts[k].leaves[i].raw()] = {b, k, i};
  const std::lock_guard lock(mutex_);
  buckets_ = std::move(known);
  where_.swap(where);
}

void Reducer::drop() noexcept {
  std::shared_ptr<Run> old;
  const std::lock_guard lock(mutex_);
  run_.swap(old);
}

Tensors Reducer::take(const Bucket& bucket) {
  const std::lock_guard lock(mutex_);
  if (!run_) return {};
  for (size_t b = 0; b < run_->early.size(); ++b) {
    Early& early = run_->early[b];
    if (!(*run_->buckets)[b].same(bucket)) continue;
    if (early.error) std::rethrow_exception(std::exchange(early.error, nullptr));  // once: the next try is a new one
    if (b >= run_->next || early.given_up || !early.still_right(bucket)) return {};
    for (size_t i = 0; i < bucket.places(); ++i) {
      const Stream here = current_stream(bucket.devices[i]);
      here.wait(early.places[i].summed);
      early.sums[i].storage().record_stream(here);
    }
    early.given_up = true;
    return std::move(early.sums);
  }
  return {};
}

void Reducer::ready(uint64_t pass, const autograd::Leaf& leaf, const Tensor& gradient) noexcept {
  std::shared_ptr<Run> run, old;
  Where where{};
  std::exception_ptr error;
  try {
    {
      const std::lock_guard lock(mutex_);
      const auto found = where_.find(&leaf);
      if (found == where_.end() || (run_ && run_->pass > pass)) return;
      if (!run_ || run_->pass < pass) {
        auto begun = std::make_shared<Run>(Run{pass, buckets_});
        for (const Bucket& bucket : *buckets_) begun->early.emplace_back(bucket);
        old = std::move(run_);
        run_ = std::move(begun);
      }
      run = run_;
      where = found->second;
    }
    arrive(run, where, gradient);
  } catch (...) {
    error = std::current_exception();
  }
  if (!error || !run) return;  // no memory to begin with: all is summed afterwards
  const std::lock_guard lock(mutex_);
  run->early[where.bucket].fail(std::move(error));  // it stays incomplete; the trainer alone holds the error now
}

void Reducer::arrive(const std::shared_ptr<Run>& run, const Where& where, const Tensor& gradient) {
  const autograd::NoGrad pause;
  const Bucket& bucket = (*run->buckets)[where.bucket];
  Early& early = run->early[where.bucket];
  Early::Place& place = early.places[where.place];
  const Stream here = current_stream(bucket.devices[where.place]);
  Tensor flat;
  {
    const std::lock_guard lock(mutex_);
    if (!early.direct) {
      if (!place.flat.defined()) place.flat = bucket.empty_flat(where.place), place.stream = here;
      if (place.stream != here) return;  // gradients of one place from several streams: left to the end
      flat = place.flat;
    }
  }
  if (flat.defined()) bucket.flatten(flat, where.part, where.place, gradient.detach());
  {
    const std::lock_guard lock(mutex_);
    early.kept[where.part][where.place] = {gradient, gradient.storage().version()};
    if (place.missing > 1) {
      --place.missing;
      return;
    }
    place.flattened.record(here);
    place.missing = 0, --early.missing;
  }
  start_complete(*run);
}

// In the order of buckets, one worker at a time; others go on with the pass.
void Reducer::start_complete(Run& run) {
  std::unique_lock lock(mutex_);
  if (run.starting) return;
  run.starting = true;
  while (run.next < run.early.size() && run.early[run.next].missing == 0) {
    Early& early = run.early[run.next];
    const Bucket& bucket = (*run.buckets)[run.next];
    lock.unlock();
    std::exception_ptr error;
    try {
      run.release_flats(run.next);
      early.start(bucket);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    ++run.next;
    if (error) {
      early.fail(std::move(error));
      return;  // and none starts after it
    }
  }
  run.starting = false;
}

void Reducer::failed(uint64_t pass) noexcept {
  std::shared_ptr<Run> old;
  {
    const std::lock_guard lock(mutex_);
    if (!run_ || run_->pass != pass) return;
    old = std::move(run_);
  }
  if (old->next > 0) abandon_collectives((*old->buckets)[0].devices);
}

}  // namespace weft::parallel
