// Bucket: gradients of several parameters, summed over their places by one collective. Private to parallel/.
#pragma once

#include <vector>

#include "weft/nn/parameter.h"

namespace weft::parallel {

struct Bucket {
  struct Part {
    nn::Parameter parameter;
    std::vector<Ref<TapeSlot>> leaves;  // of each place
    int64_t start = 0;                  // in elements
  };
  std::vector<Part> parts = {};
  std::vector<Device> devices = {};  // of each place
  int64_t numel = 0;

  size_t places() const { return devices.size(); }
  DType dtype() const { return parts[0].parameter.dtype(); }
  int64_t bytes() const { return numel * size_of(dtype()); }
  void add(const nn::Parameter& parameter, std::vector<Ref<TapeSlot>> leaves);
  /// Of the same leaves in the same order, to be summed in the same way: the sums have the same bits.
  bool same(const Bucket& other) const;

  /// Memory for the gradients of a place.
  Tensor empty_flat(size_t place) const;
  /// Writes a part's gradient into the flat tensor of a place; zeros for an undefined one.
  void flatten(const Tensor& flat, size_t part, size_t place, const Tensor& gradient) const;
  /// The sums of all places, flat. A range "bucket of gradients" in a profile.
  Tensors sum(const Tensors& flats) const;
  /// A part's gradient in what sum() gave.
  Tensor part_of(const Tensor& sums, size_t part, size_t place) const;
};

}  // namespace weft::parallel
