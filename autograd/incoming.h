// Gradients on their way into a node, while a pass runs. Private to autograd/.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/autograd/node.h"

namespace weft::autograd {

/// One gradient for one output, with where it came from: sums run from the latest consumer to the earliest, so that
/// their bits do not depend on which device's worker was first.
struct Contribution {
  uint64_t consumer;  // number of the node that sent it; heads come before all
  uint32_t edge;      // which of the consumer's inputs
  uint32_t output;    // of the receiving node
  Stream stream;      // where it was computed
  Tensor gradient;
};

/// Sorts by consumer and edge, then sums per output, on current streams, which wait for those the gradients were
/// computed on.
Tensors sum_by_output(std::vector<Contribution>& contributions, uint32_t outputs);

struct Node::Incoming {
  std::vector<Contribution> contributions;
};

}  // namespace weft::autograd
