#include "weft/autograd/incoming.h"

#include <algorithm>

#include "weft/autograd/ops/binary.h"

namespace weft::autograd {

void wait_for(const Contribution& contribution) {
  const Stream here = current_stream(contribution.stream.device);
  if (here == contribution.stream || here.device.is_cpu()) return;
  Event computed;
  computed.record(contribution.stream);
  here.wait(computed);
  contribution.gradient.storage().record_stream(here);
}

Tensors sum_by_output(std::vector<Contribution>& contributions, uint32_t outputs) {
  std::sort(contributions.begin(), contributions.end(), [](const Contribution& a, const Contribution& b) {
    return a.consumer != b.consumer ? a.consumer > b.consumer : a.edge < b.edge;
  });
  Tensors sums(outputs);
  for (Contribution& c : contributions) {
    wait_for(c);
    Tensor& sum = sums[c.output];
    sum = sum.defined() ? add(sum, c.gradient) : std::move(c.gradient);
  }
  contributions.clear();
  return sums;
}

}  // namespace weft::autograd
