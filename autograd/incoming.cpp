#include "weft/autograd/incoming.h"

#include <algorithm>

#include "weft/autograd/ops/binary.h"
#include "weft/tensor/stream_order.h"

namespace weft::autograd {

Tensors sum_by_output(std::vector<Contribution>& contributions, uint32_t outputs) {
  std::sort(contributions.begin(), contributions.end(), [](const Contribution& a, const Contribution& b) {
    return a.consumer != b.consumer ? a.consumer > b.consumer : a.edge < b.edge;
  });
  Tensors sums(outputs);
  for (Contribution& c : contributions) {
    hand_over(c.gradient, c.stream, current_stream(c.stream.device));
    Tensor& sum = sums[c.output];
    sum = sum.defined() ? add(sum, c.gradient) : std::move(c.gradient);
  }
  contributions.clear();
  return sums;
}

}  // namespace weft::autograd
