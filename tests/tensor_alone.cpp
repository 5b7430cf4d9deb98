// Linked with tensor/ and nothing above it. All objects of tensor/ are on the link line, so a call of the tape from
// anywhere in them, not only from what this program uses, is an unresolved symbol here.
#include <cstdio>

#include "weft/tensor/ops/softmax.h"
#include "weft/tensor/tensor.h"
#include "weft/version.h"

int main() {
  const weft::Tensor x = weft::full({2, 4}, 3);
  for (const float y : weft::ops::softmax(x, -1).to_vector<float>())
    if (y != 0.25f) return 1;
  std::printf("tensor/ of weft %s links alone\n", weft::version());
}
