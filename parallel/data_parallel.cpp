#include "weft/parallel/data_parallel.h"

#include <numeric>

#include "weft/tensor/collective.h"
#include "weft/tensor/operators.h"

namespace weft::parallel {

RankSet::RankSet(const std::vector<Device>& devices, DataParallelOptions options) : options_(std::move(options)) {
  if (devices.empty()) return;
  ranks_ = ranks_of(devices, options_);
  workers_ = Workers::acquire(ranks_, options_.shares > 0 ? 1 : 0);
}

Splitter RankSet::splitter() const {
  return Splitter(ranks_, {.batch_axis = options_.batch_axis, .weights = options_.weights});
}

std::vector<int> RankSet::active(const std::vector<int64_t>& sizes) const {
  std::vector<int> ranks;
  for (size_t i = 0; i < ranks_.size(); ++i)
    if (sizes.empty() || sizes[i] > 0) ranks.push_back(static_cast<int>(i));
  return ranks;
}

std::vector<int> RankSet::ranks_on(const std::vector<Device>& devices) const {
  std::vector<int> ranks;
  size_t rank = 0;
  for (const Device device : devices) {
    while (rank < ranks_.size() && ranks_[rank] != device) ++rank;
    WEFT_CHECK(DeviceError, rank < ranks_.size(), "criterion: the outputs lie on ", devices.size(),
               " devices, among them ", device, ", which this criterion with ", ranks_.size(),
               " does not have in that order; give model and criterion the same devices");
    ranks.push_back(static_cast<int>(rank++));
  }
  return ranks;
}

Splitter RankSet::splitter_over(const std::vector<Device>& devices) const {
  if (empty()) {
    WEFT_CHECK(DeviceError, devices.size() == 1, "criterion: the outputs lie on ", devices.size(),
               " devices, but the criterion was given none; give it the model's devices");
    return Splitter(devices, {.batch_axis = options_.batch_axis});
  }
  std::vector<double> weights;
  if (!options_.weights.empty())
    for (const int rank : ranks_on(devices)) weights.push_back(options_.weights[static_cast<size_t>(rank)]);
  return Splitter(devices, {.batch_axis = options_.batch_axis, .weights = std::move(weights)});
}

ApplyOptions RankSet::apply_options(const std::vector<int64_t>& sizes) const {
  ApplyOptions apply{.sync = options_.sync, .deadline = options_.deadline, .order = order()};
  int64_t first = 0;
  for (const int64_t size : sizes) {
    if (size > 0) apply.first_samples.push_back(first);
    first += size;
  }
  return apply;
}

namespace detail {

std::vector<Tensor> normalize(const std::vector<Term>& terms, const std::vector<Device>& devices,
                              const std::vector<int64_t>& sizes, Order order) {
  const int64_t batch = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  const bool weighted = terms[0].weight.defined();
  Tensors totals;
  if (weighted) {
    for (const Term& term : terms) totals.push_back(term.weight.detach());
    if (totals.size() > 1) totals = ops::all_reduce(totals, order);
  }
  std::vector<Tensor> losses;
  for (size_t i = 0; i < terms.size(); ++i) {
    // Recorded as the rank that made the term, so that the backward pass starts on that rank's worker.
    const auto end = devices.begin() + static_cast<std::ptrdiff_t>(i);
    const RankGuard as({nullptr, 0, static_cast<int>(std::count(devices.begin(), end, devices[i]))});
    const DeviceGuard on(devices[i]);
    if (weighted)
      losses.push_back(nn::divide_by_weight(terms[i].sum, totals[i]));
    else
      losses.push_back(terms.size() == 1 ? terms[i].sum
                                         : terms[i].sum * (static_cast<double>(sizes[i]) / static_cast<double>(batch)));
  }
  return losses;
}

}  // namespace detail
}  // namespace weft::parallel
