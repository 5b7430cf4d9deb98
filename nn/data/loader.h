// Loader: batches of a dataset, made ahead by worker threads. What a batch holds depends on the seed, the epoch and its
// number alone, not on the number of workers.
//
//   data::Loader loader(files.size(), [&](size_t i, data::SampleRandom& random) { … return sample; }, {.batch = 8});
//   for (int epoch = 0; epoch < epochs; ++epoch)
//     for (data::Batch& batch : loader) …      // or while (auto batch = loader.next()) …
#pragma once

#include <functional>
#include <iterator>
#include <memory>
#include <optional>

#include "weft/nn/data/augment.h"

namespace weft::data {

/// A sample that could not be made.
class DataError : public Error {
  using Error::Error;
};

/// What becomes of samples that do not fill a batch at the end of an epoch: a smaller batch, nothing, or the first
/// samples of the next epoch's first batch.
enum class LastBatch : uint8_t { keep, discard, rollover };

struct LoaderOptions {
  int64_t batch = 1;
  bool shuffle = true;  ///< a new order every epoch
  uint64_t seed = 0;
  int workers = 1;   ///< threads; 0: next() itself makes the batch
  int prefetch = 2;  ///< batches made ahead, also of the next epoch
  LastBatch last = LastBatch::keep;
};

class Loader {
 public:
  /// `make` gives sample i, augmented with the random numbers it is handed; several threads call it at once.
  using Make = std::function<Sample(size_t, SampleRandom&)>;

  /// Throws Error on no samples, a batch below 1, or LastBatch::discard where no batch is full.
  Loader(size_t samples, Make make, const LoaderOptions& options = {});
  /// Stops the workers after the sample each is at.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next batch, or nothing once at the end of every epoch. If a sample fails, throws DataError
  /// `loader: sample 17 of epoch 2: …`; the call after that goes on with the next batch.
  std::optional<Batch> next();
  /// What is left of the epoch, in a range-for; an error comes out of the loop.
  class Iterator {
   public:
    explicit Iterator(Loader& loader) : loader_(&loader), batch_(loader.next()) {}
    Batch& operator*() { return *batch_; }
    Batch* operator->() { return &*batch_; }
    Iterator& operator++() {
      batch_ = loader_->next();
      return *this;
    }
    bool operator==(std::default_sentinel_t) const { return !batch_; }

   private:
    Loader* loader_;
    std::optional<Batch> batch_;
  };
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

  int64_t batches(int64_t epoch) const;
  /// Where next() stands: for a checkpoint.
  struct Position {
    int64_t epoch = 0, batch = 0;
  };
  Position position() const;
  /// Goes on from there, with the same batches as if it had come there by itself.
  void seek(const Position& position);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft::data
