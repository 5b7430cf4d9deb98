#include "weft/parallel/split.h"

#include <numeric>

namespace weft::parallel {

std::vector<int64_t> share_sizes(int64_t batch, const std::vector<Device>& devices, const SplitOptions& options,
                                 const Shape& shape) {
  const auto n = static_cast<int64_t>(devices.size());
  const bool weighted = !options.weights.empty();
  WEFT_CHECK(ShapeError, batch > 0, "split_and_load: the batch is empty, shape ", shape, " along axis ",
             options.batch_axis);
  WEFT_CHECK(ShapeError, !options.even_split || batch % n == 0, "split_and_load: batch ", batch, " of shape ", shape,
             " does not split evenly over ", n, " devices along axis ", options.batch_axis, "; use a multiple of ", n,
             " or even_split = false");
  WEFT_CHECK(Error, !weighted || options.weights.size() == devices.size(), "split_and_load: ", options.weights.size(),
             " weights for ", n, " devices");
  double total = 0;
  for (const double weight : options.weights) {
    WEFT_CHECK(Error, weight >= 0, "split_and_load: weight ", weight, " is negative");
    total += weight;
  }
  WEFT_CHECK(Error, !weighted || total > 0, "split_and_load: all weights are zero");
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < devices.size(); ++i)
    sizes.push_back(weighted ? static_cast<int64_t>(static_cast<double>(batch) * options.weights[i] / total)
                             : batch / n);
  int64_t rest = batch - std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  for (size_t i = 0; rest > 0; i = (i + 1) % sizes.size()) {
    if (weighted && options.weights[i] == 0) continue;
    ++sizes[i];
    --rest;
  }
  return sizes;
}

PerDevice<Tensor> split_and_load(const Tensor& x, const std::vector<Device>& devices, int64_t batch_axis,
                                 bool even_split) {
  Splitter splitter(devices, {.batch_axis = batch_axis, .even_split = even_split});
  return PerDevice<Tensor>(devices, splitter.split(x, batch_axis, "data"));
}

Splitter::Splitter(std::vector<Device> devices, SplitOptions options)
    : devices_(std::move(devices)), options_(std::move(options)) {
  WEFT_CHECK(DeviceError, !devices_.empty(), "split_and_load: the list of devices is empty; pass at least one");
}

const std::vector<int64_t>& Splitter::sizes(int64_t batch, const Shape& shape, const std::string& leaf) {
  if (batch_ < 0) {
    sizes_ = share_sizes(batch, devices_, options_, shape);
    batch_ = batch;
    first_leaf_ = leaf;
  }
  WEFT_CHECK(ShapeError, batch == batch_, "split_and_load: ", first_leaf_, " has ", batch_, " samples, ", leaf,
             " of shape ", shape, " has ", batch, "; all leaves need the same batch, or mark one as Replicate");
  return sizes_;
}

std::vector<Tensor> Splitter::split(const Tensor& x, int64_t axis, const std::string& leaf) {
  WEFT_CHECK(ShapeError, x.defined(), "split_and_load: ", leaf, " is an undefined tensor");
  WEFT_CHECK(IndexError, axis >= -x.rank() && axis < x.rank(), "split_and_load: axis ", axis, " is out of range for ",
             leaf, " of shape ", x.shape());
  const int64_t batch = x.size(axis);
  const std::vector<int64_t>& extents = sizes(batch, x.shape(), leaf);
  if (count() == 1) return {x.to(devices_[0])};
  std::vector<Tensor> shares;
  int64_t start = 0;
  for (size_t i = 0; i < count(); ++i) {
    shares.push_back(x.slice(axis, start, start + extents[i]).to(devices_[i]));
    start += extents[i];
  }
  return shares;
}

std::vector<Tensor> Splitter::replicate(const Tensor& x) const {
  std::vector<Tensor> copies;
  for (const Device device : devices_) copies.push_back(x.to(device));
  return copies;
}

void Splitter::check_sharded(const std::vector<Device>& devices, const std::string& leaf) const {
  WEFT_CHECK(DeviceError, devices == devices_, "split_and_load: ", leaf, " is sharded over ", devices.size(),
             " other devices; it needs one entry for each of the ", devices_.size(), " devices in use");
}

}  // namespace weft::parallel
