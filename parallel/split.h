// split_and_load, split_load_kwargs, tuple_map: from a batch to one share per device.
//
// Anything nested of tuples, pairs, vectors, arrays, maps, optionals and structs (see Fields) is split leaf by leaf;
// the containers stay what they are. Tensors and host arrays (vectors of numbers or texts) are cut along the batch
// axis; numbers, texts and other plain values go to every device as they are. Sizes follow numpy.array_split: 10 over 4
// gives 3, 3, 2, 2.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <tuple>

#include "weft/tensor/per_device.h"
#include "weft/tensor/tensor.h"

namespace weft::data {
struct Batch;
}

namespace weft::parallel {

struct SplitOptions {
  int64_t batch_axis = 0;
  bool even_split = false;  ///< a remainder is an error
  /// Relative speeds of the devices; empty: equal. Shares are in proportion, the rest goes to the first devices.
  std::vector<double> weights = {};
};

/// A leaf that is cut along an axis of its own.
struct Split {
  Tensor tensor;
  int64_t axis = 0;
};
/// A tensor that every device gets as a whole.
struct Replicate {
  Tensor tensor;
};
// A PerDevice<T> is a leaf that is already sharded: device i gets its entry i.

/// Tells the members of a struct: specialise with `static auto tie(Batch& b) { return std::tie(b.image, b.mask); }`.
template <class T>
struct Fields;
template <>
struct Fields<data::Batch> {
  template <class Batch>
  static auto tie(Batch& b) {
    return std::tie(b.image, b.labels, b.names);
  }
};

/// Sizes of the shares of `batch` samples. Throws ShapeError on an uneven split where options.even_split asks for an
/// even one; `shape` and `devices` are for the text.
std::vector<int64_t> share_sizes(int64_t batch, const std::vector<Device>& devices, const SplitOptions& options,
                                 const Shape& shape);

/// One share per device; an empty share has extent 0. Straight from where x lies to each device, never through a first
/// one; no copy where x is there already. Recorded when x is tracked. Throws DeviceError on an empty list, ShapeError
/// on an empty batch, IndexError on an axis out of range.
PerDevice<Tensor> split_and_load(const Tensor& x, const std::vector<Device>& devices, int64_t batch_axis = 0,
                                 bool even_split = true);

/// Splits the leaves of one call; all must have the same batch.
class Splitter {
 public:
  /// Throws DeviceError if `devices` is empty.
  Splitter(std::vector<Device> devices, SplitOptions options);

  std::vector<Tensor> split(const Tensor& x, int64_t axis, const std::string& leaf);
  std::vector<Tensor> replicate(const Tensor& x) const;
  /// Sizes for a leaf of `batch` samples; throws ShapeError naming this leaf and the first one if batches differ.
  const std::vector<int64_t>& sizes(int64_t batch, const Shape& shape, const std::string& leaf);
  void check_sharded(const std::vector<Device>& devices, const std::string& leaf) const;

  const std::vector<Device>& devices() const { return devices_; }
  size_t count() const { return devices_.size(); }
  int64_t batch_axis() const { return options_.batch_axis; }
  /// Samples per device; empty if no leaf was split.
  const std::vector<int64_t>& sizes() const { return sizes_; }

 private:
  std::vector<Device> devices_;
  SplitOptions options_;
  std::vector<int64_t> sizes_;
  int64_t batch_ = -1;
  std::string first_leaf_;
};

}  // namespace weft::parallel

#include "weft/parallel/split_nest.h"

namespace weft::parallel {

/// The same for any nest: one nest of the same containers per device.
template <class T>
auto split_and_load(const T& nest, const std::vector<Device>& devices, int64_t batch_axis = 0, bool even_split = true) {
  Splitter splitter(devices, {.batch_axis = batch_axis, .even_split = even_split});
  return PerDevice<detail::SplitResult<T>>(devices, detail::split_nest(nest, splitter, "data"));
}

/// Positional and named arguments, one of each per device, whatever either of them holds.
template <class Inputs, class Kwargs>
auto split_load_kwargs(const Inputs& inputs, const Kwargs& kwargs, const std::vector<Device>& devices,
                       int64_t batch_axis = 0) {
  Splitter splitter(devices, {.batch_axis = batch_axis});
  auto split_inputs = detail::split_nest(inputs, splitter, "inputs");
  auto split_kwargs = detail::split_nest(kwargs, splitter, "kwargs");
  return std::pair(PerDevice<detail::SplitResult<Inputs>>(devices, std::move(split_inputs)),
                   PerDevice<detail::SplitResult<Kwargs>>(devices, std::move(split_kwargs)));
}

/// What a module returned, as arguments of a loss: a tensor becomes a one-tuple, an array a tuple; tuples and
/// everything else stay. A vector, whose length only run time knows, stays too.
inline std::tuple<Tensor> tuple_map(const Tensor& x) { return {x}; }
template <class T, size_t N>
auto tuple_map(const std::array<T, N>& x) {
  return std::apply([](const auto&... each) { return std::make_tuple(each...); }, x);
}
template <class T>
T tuple_map(const T& x) {
  return x;
}

}  // namespace weft::parallel
