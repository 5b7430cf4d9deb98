#include "weft/parallel/buckets.h"

#include <algorithm>

#include "weft/nn/optim/optimizer.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/fill.h"
#include "weft/tensor/ops/tree_sum.h"
#include "weft/tensor/ops/view.h"
#include "weft/tensor/profile_scope.h"

namespace weft::parallel {

namespace {

// The elements of a dense tensor in memory order.
Tensor elements(const Tensor& x) { return ops::view(x, {x.numel()}, {1}, x.impl().offset); }

}  // namespace

void Bucket::add(const nn::Parameter& parameter, std::vector<Ref<TapeSlot>> leaves) {
  parts.push_back({parameter, std::move(leaves), numel});
  numel += parameter.numel();
}

bool Bucket::same(const Bucket& other) const {
  return devices == other.devices &&
         std::equal(parts.begin(), parts.end(), other.parts.begin(), other.parts.end(),
                    [](const Part& a, const Part& b) {
                      return std::equal(a.leaves.begin(), a.leaves.end(), b.leaves.begin(), b.leaves.end(),
                                        [](const auto& x, const auto& y) { return x.raw() == y.raw(); });
                    });
}

Tensor Bucket::empty_flat(size_t place) const { return empty({numel}, {.dtype = dtype(), .device = devices[place]}); }

void Bucket::flatten(const Tensor& flat, size_t part, size_t place, const Tensor& gradient) const {
  const Tensor& value = parts[part].parameter.at(static_cast<int>(place));
  const Tensor target = ops::view(flat, {value.numel()}, {1}, parts[part].start);
  if (gradient.defined())
    ops::copy(target, elements(nn::optim::dense_gradient(gradient, value)));
  else
    ops::fill(target, 0);
}

bool Bucket::is_direct() const {
  return !has_communicator(DeviceType::cpu) &&
         std::all_of(devices.begin(), devices.end(), [](Device device) { return device.is_cpu(); });
}

Tensors Bucket::sum(const std::vector<Tensors>& gradients) const {
  Tensors flats;
  for (size_t i = 0; i < places(); ++i) flats.push_back(empty_flat(i));
  if (!is_direct()) {
    for (size_t i = 0; i < places(); ++i)
      for (size_t k = 0; k < parts.size(); ++k) flatten(flats[i], k, i, gradients[k][i]);
    return sum_flat(flats);
  }
  const weft::detail::ProfileScope scope(ProfileKind::collective, "bucket of gradients",
                                         bytes() * static_cast<int64_t>(places()));
  for (size_t k = 0; k < parts.size(); ++k) {
    Tensors terms, sums;
    for (size_t i = 0; i < places(); ++i) {
      const Tensor& value = parts[k].parameter.at(static_cast<int>(i));
      const Tensor& gradient = gradients[k][i];
      terms.push_back(
          elements(gradient.defined() ? nn::optim::dense_gradient(gradient, value) : zeros_like(value.detach())));
      sums.push_back(ops::view(flats[i], {value.numel()}, {1}, parts[k].start));
    }
    ops::tree_sum_into(sums, terms);
  }
  return flats;
}

Tensors Bucket::sum_flat(const Tensors& flats) const {
  const weft::detail::ProfileScope scope(ProfileKind::collective, "bucket of gradients",
                                         bytes() * static_cast<int64_t>(places()));
  return ops::all_reduce(flats, parts[0].parameter.order());
}

Tensor Bucket::part_of(const Tensor& sums, size_t part, size_t place) const {
  const Tensor& value = parts[part].parameter.at(static_cast<int>(place));
  return ops::view(sums, value.shape(), value.strides(), parts[part].start);
}

}  // namespace weft::parallel
