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

  /// Whether sums are made from gradients where they lie: places are CPU devices, whose memory is one, and there is no
  /// communicator, which would want them flat.
  bool is_direct() const;
  /// The sums of gradients, by part and place, an undefined one counting as zeros: flat, of each place. A range "bucket
  /// of gradients" in a profile, as the next one.
  Tensors sum(const std::vector<Tensors>& gradients) const;
  /// The sums of all places, flat.
  Tensors sum_flat(const Tensors& flats) const;

  /// Memory for the gradients of a place.
  Tensor empty_flat(size_t place) const;
  /// Writes a part's gradient into the flat tensor of a place; zeros for an undefined one.
  void flatten(const Tensor& flat, size_t part, size_t place, const Tensor& gradient) const;
  /// A part's gradient in what sum() or sum_flat() gave.
  Tensor part_of(const Tensor& sums, size_t part, size_t place) const;
};

}  // namespace weft::parallel
