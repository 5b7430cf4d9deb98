// Reducer: sums buckets of gradients while the backward pass that makes them still runs. Private to parallel/.
//
// Note [Sums in advance]
// What it sums is a guess that costs nothing when it is wrong. Leaves hold the gradients of their own place until the
// trainer asks for sums, as they do without it; the trainer then lays out its buckets anew, and takes a sum that was
// made in advance only if it is of the same bucket and all leaves still hold the very gradients that went into it. So
// a pass that failed, a second pass, gradients that were changed, cleared or gathered, frozen or unused parameters need
// no rules of their own, and bits are those of sums made afterwards.
//
// Which buckets to expect is learnt from the step before: none start in the first one. They start in order, each when
// all its leaves on all places are ready: gradients are flattened on the stream that computed them, by the worker that
// did, and the worker that completes a bucket launches its sum on streams of their own. On CPU devices that worker adds
// them up where they lie (Bucket::is_direct()).
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "weft/autograd/leaf_observer.h"
#include "weft/parallel/buckets.h"

namespace weft::parallel {

class Reducer final : public autograd::LeafObserver {
 public:
  Reducer();
  ~Reducer() override;

  /// The buckets to expect in passes from now on. What earlier ones left is dropped.
  void expect(const std::vector<Bucket>& buckets);
  /// The sums of the bucket, flat, of each place, if they were made in advance and are still right; else none. Current
  /// streams wait for them, the host does not. Throws what their collective threw.
  Tensors take(const Bucket& bucket);
  void drop() noexcept;

  void ready(uint64_t pass, const autograd::Leaf& leaf, const Tensor& gradient) noexcept override;
  void failed(uint64_t pass) noexcept override;

 private:
  struct Early;  // a bucket in a pass
  struct Run;    // a pass
  struct Where {
    size_t bucket, part, place;
  };
  void arrive(const std::shared_ptr<Run>& run, const Where& where, const Tensor& gradient);
  void start_complete(Run& run);

  std::mutex mutex_;  // of all below, and of what a Run counts
  std::shared_ptr<const std::vector<Bucket>> buckets_;
  std::unordered_map<const TapeSlot*, Where> where_;
  std::shared_ptr<Run> run_;  // the latest pass
};

}  // namespace weft::parallel
