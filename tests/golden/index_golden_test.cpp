// Against PyTorch: cases/index.py.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/golden.h"
#include "weft/autograd/ops/concat.h"
#include "weft/autograd/ops/flip.h"
#include "weft/autograd/ops/gather.h"
#include "weft/autograd/ops/mask.h"
#include "weft/autograd/ops/scatter.h"
#include "weft/autograd/ops/sort.h"
#include "weft/autograd/ops/split.h"
#include "weft/tensor/operators.h"

using namespace weft;
using namespace weft::test;

namespace {

Tensor checked(const SortResult& result, const Golden& golden) {
  golden.compare("index", result.index);
  return result.values;
}

}  // namespace

TEST_CASE("golden: indices, masks and sorting") {
  check_file("index",
             {{"flip", unary_case([](auto& x) {
                 return flip(x, {0, 2});
               })},
              {"roll", unary_case([](auto& x) { return roll(x, -2, 1); })},
              {"split", unary_case([](auto& x) {
                 const Tensors parts = split(x, 2, 1);
                 return concat({parts[2], parts[0]}, 1);
               })},
              {"chunk", unary_case([](auto& x) {
                 Tensors parts = chunk(x, 4, 1);
                 std::reverse(parts.begin(), parts.end());
                 return concat(parts, 1);
               })},
              {"gather", binary_case([](auto& x, auto& i) { return gather(x, 1, i); })},
              {"index_select", binary_case([](auto& x, auto& i) { return index_select(x, 2, i); })},
              {"scatter_add", [](const Tensors& x, const Golden&) { return scatter_add(x[0], 1, x[1], x[2]); }},
              {"index_add", [](const Tensors& x, const Golden&) { return index_add(x[0], 1, x[1], x[2]); }},
              {"embedding", binary_case([](auto& w, auto& i) { return embedding(w, i); })},
              {"embedding_padding", binary_case([](auto& w, auto& i) { return embedding(w, i, {.padding = 2}); })},
              {"masked_fill", binary_case([](auto& x, auto& m) { return masked_fill(x, m, -1.5); })},
              {"triu", unary_case([](auto& x) { return triu(x, -1); })},
              {"tril", unary_case([](auto& x) { return tril(x, -1); })},
              {"one_hot", binary_case([](auto& x, auto& i) { return x * one_hot(i, 5, x.dtype()); })},
              {"sort", [](const Tensors& x, const Golden& g) { return checked(sort(x[0], 1, true), g); }},
              {"topk", [](const Tensors& x, const Golden& g) { return checked(topk(x[0], 4, 1, false), g); }},
              {"stable", [](const Tensors& x, const Golden& g) { return checked(sort(x[0], 1), g); }}});
}
