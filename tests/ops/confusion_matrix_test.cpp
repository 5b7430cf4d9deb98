// Confusion matrices: counting, ignored labels, numbers that are no class.
#include "weft/autograd/ops/confusion_matrix.h"

#include <doctest/doctest.h>

#include "tests/support/hooks.h"
#include "tests/support/op_table.h"

using namespace weft;
using namespace weft::test;

namespace {

OpFunction with(int64_t classes, int64_t ignore) {
  return [=](const Tensors& v) { return confusion_matrix(v[0], v[1], classes, ignore); };
}

Reference naive(int64_t classes, double ignore) {
  return [=](const Arrays& v) {
    Array y({classes, classes});
    for (int64_t i = 0; i < v[1].numel(); ++i)
      if (v[1][i] != ignore) ++y(static_cast<int64_t>(v[1][i]), static_cast<int64_t>(v[0][i]));
    return y;
  };
}

Input classes(const Shape& shape, int count) { return input(shape).integers(0, count - 1).untracked(); }

}  // namespace

OP_TABLE(confusion_matrix) {
  const RowOptions counted{.dtypes = {DType::i64, DType::i32, DType::u8},
                           .exact = true,
                           .result = DType::i64,
                           .no_gradient = "counts have none"};
  table.op("confusion_matrix")
      .row("vectors", {classes({50}, 4), classes({50}, 4)}, with(4, -1), naive(4, -1), counted)
      .row("images", {classes({2, 5, 7}, 3), classes({2, 5, 7}, 3)}, with(3, -1), naive(3, -1), counted)
      .row("ignored label", {classes({2, 40}, 5), classes({2, 40}, 5)}, with(5, 2), naive(5, 2), counted)
      .row("many classes", {classes({100}, 21), classes({100}, 21)}, with(21, -1), naive(21, -1), counted)
      .row("more than a chunk", {classes({1000}, 2), classes({1000}, 2)}, with(2, -1), naive(2, -1), counted)
      .row("predictions of i64, labels of u8",
           {classes({30}, 4).dtype(DType::i64), input({30}).integers(0, 3).untracked().dtype(DType::u8)}, with(4, 255),
           naive(4, 255), counted)
      .row("labels of u8, -1", {classes({4}, 4), input({4}).values({1, 255, 0, 3}).untracked().dtype(DType::u8)},
           with(4, -1), naive(4, 255), counted)
      .row("nothing", {classes({0}, 4), classes({0}, 4)}, with(4, -1), naive(4, -1), counted)
      .none(Cell::gradient, "counts have none")
      .none(Cell::second_gradient, "counts have none")
      .error<ShapeError>(
          "shapes", "confusion_matrix: predictions of shape [3] for labels of shape [4]; they must be equal",
          [] { confusion_matrix(zeros({3}, {.dtype = DType::i64}), zeros({4}, {.dtype = DType::i64}), 2); })
      .error<DtypeError>("dtype", "confusion_matrix: predictions are float32; …",
                         [] { confusion_matrix(zeros({3}), zeros({3}, {.dtype = DType::i64}), 2); })
      .error<IndexError>("classes", "confusion_matrix: 0 classes; there must be 1 … 32768", [] {
        confusion_matrix(zeros({3}, {.dtype = DType::i64}), zeros({3}, {.dtype = DType::i64}), 0);
      });
}

TEST_CASE("confusion_matrix: what is no class is an error that says where") {
  const Tensor labels = tensor<int64_t>({0, -1, 1, 2}, "cpu"), predictions = tensor<int64_t>({0, 9, 1, 1}, "cpu");
  CHECK(throws<IndexError>("confusion_matrix: label 2 and prediction 1 at flat position 3 are not both of 2 classes; "
                           "classes are 0 … 1, or the label is the ignored -1",
                           [&] { confusion_matrix(predictions, labels, 2); }) == "");
  CHECK(confusion_matrix(predictions, labels, 3).to_vector<int64_t>() ==
        std::vector<int64_t>{1, 0, 0, 0, 1, 0, 0, 1, 0});
}

TEST_CASE("confusion_matrix: on CUDA what is no class is reported at the next synchronisation") {
  if (!cuda_or_skip()) return;
  const Tensor labels = tensor<int64_t>({0, -1, 1, 2, 5}, "cuda:0"),
               predictions = tensor<int64_t>({0, 9, 1, 1, 0}, "cuda:0");
  const std::string text =
      "confusion_matrix: a label or prediction is not one of the classes; … (first at flat position 3)";
  CHECK(throws<IndexError>(text, [&] { confusion_matrix(predictions, labels, 2).wait(); }) == "");
  CHECK(throws<IndexError>("confusion_matrix: … (first at flat position 1)",
                           [&] { confusion_matrix(predictions, labels, 9, 2).wait(); }) == "");
}
