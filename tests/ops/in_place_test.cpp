// Functions that work in place: the values of the others, in any layout; versions; refusals.
#include "weft/autograd/ops/in_place.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/autograd/record_scope.h"

using namespace weft;
using namespace weft::test;

namespace {

using Change = Tensor (*)(const Tensor&);

// The whole tensor, one of its columns, and nothing at all.
void add_rows(Op& op, Change change, double (*naive)(double), const RowOptions& more = {}) {
  RowOptions options = more;
  options.no_gradient = "what works in place is not recorded";
  const Reference reference = [naive](const Arrays& v) { return map(v[0], naive); };
  op.row(
        "all elements", {input({5, 37}).positive().untracked()},
        [change](const Tensors& v) { return change(v[0].clone()); }, reference, options)
      .row(
          "every second column", {input({5, 8}).positive().untracked()},
          [change](const Tensors& v) {
            const Tensor y = v[0].clone();
            change(y.slice(1, 0, 8, 2));
            return y;
          },
          [naive](const Arrays& v) {
            Array y = v[0];
            for (int i = 0; i < 5; ++i)
              for (int j = 0; j < 8; j += 2) y(i, j) = naive(y(i, j));
            return y;
          },
          options)
      .row(
          "no elements", {input({0, 3}).untracked()}, [change](const Tensors& v) { return change(v[0].clone()); },
          reference, options);
}

}  // namespace

OP_TABLE(in_place) {
  add_rows(
      table.op("add_"), [](const Tensor& x) { return add_(x, 1.5); }, [](double x) { return x + 1.5; });
  add_rows(
      table.op("sub_"), [](const Tensor& x) { return sub_(x, 1.5); }, [](double x) { return x - 1.5; });
  add_rows(
      table.op("mul_"), [](const Tensor& x) { return mul_(x, 1.5); }, [](double x) { return x * 1.5; });
  add_rows(
      table.op("div_"), [](const Tensor& x) { return div_(x, 1.5); }, [](double x) { return x / 1.5; });
  add_rows(
      table.op("pow_"), [](const Tensor& x) { return pow_(x, 1.5); }, [](double x) { return std::pow(x, 1.5); });
  add_rows(
      table.op("clamp_"), [](const Tensor& x) { return clamp_(x, 1, 1.5); },
      [](double x) { return std::min(std::max(x, 1.0), 1.5); });
  add_rows(
      table.op("leaky_relu_"), [](const Tensor& x) { return leaky_relu_(sub_(x, 1), 0.5); },
      [](double x) { return x > 1 ? x - 1 : (x - 1) / 2; });
  add_rows(
      table.op("elu_"), [](const Tensor& x) { return elu_(sub_(x, 1)); },
      [](double x) { return x > 1 ? x - 1 : std::expm1(x - 1); });
  table.op("add_").error<DtypeError>("fraction", "add_: 0.5 does not fit int64; …",
                                     [] { add_(ones({2}, {.dtype = DType::i64}), 0.5); });
  table.op("sub_").error<ShapeError>("shared", "sub_: elements of the destination share memory …", [] {
    sub_(ones({3}).expand({2, 3}), 1);
  });
  table.op("mul_").error<DtypeError>("bool", "scale: bool is not a number here; …",
                                     [] { mul_(ones({2}, {.dtype = DType::boolean}), 1); });
  table.op("div_").error<DtypeError>("integers", "divide_by: needs a floating dtype, got int32; …",
                                     [] { div_(ones({2}, {.dtype = DType::i32}), 2); });
  table.op("pow_").error<DtypeError>("integers", "pow_scalar: needs a floating dtype, got int32; …",
                                     [] { pow_(ones({2}, {.dtype = DType::i32}), 2); });
  table.op("clamp_").error<Error>("bounds", "clamp_: bounds 2 and 1; …", [] { clamp_(ones({2}), 2, 1); });
  for (const char* name : {"leaky_relu_", "elu_"})
    table.op(name).none(Cell::errors, "those of leaky_relu, elu, and clamp_");
  for (const char* name : {"add_", "sub_", "mul_", "div_", "pow_", "clamp_", "leaky_relu_", "elu_"})
    table.op(name).none(Cell::zero_sizes, "the row without elements has no gradient to test");
}

TEST_CASE("in place: every function of the lists gives the values of its twin, dense and strided") {
  const auto check = [](const char* name, const Tensor& x, Tensor (*change)(const Tensor&), const Tensor& wanted) {
    CAPTURE(std::string(name));
    const Tensor whole = x.clone();
    const uint32_t before = whole.storage().version();
    CHECK(change(whole).same(whole));
    CHECK(whole.to_vector<float>() == wanted.to_vector<float>());
    CHECK(whole.storage().version() == before + 1);
    CHECK(std::string(whole.storage().last_writer()) == std::string(name) + "_");
    Tensor wide = zeros({6, 2});
    wide.slice(1, 1, 2).copy_(x.reshape({6, 1}));
    change(wide.slice(1, 1, 2));
    CHECK(wide.slice(1, 1, 2).reshape({6}).to_vector<float>() == wanted.to_vector<float>());
    CHECK(wide.slice(1, 0, 1).reshape({6}).to_vector<float>() == std::vector<float>(6, 0));
  };
  const Tensor x = tensor({0.25f, 0.5f, 0.75f, 1.25f, 1.5f, 3.5f});
#define WEFT_CHECK_LINE(Functor, name, ...) check(#name, x, &weft::name##_, weft::name(x));
  WEFT_UNARY_OPS(WEFT_CHECK_LINE)
#undef WEFT_CHECK_LINE
  static const float others[] = {2, 0.5f, 3, 1, 7, 0.25f};
  const auto other = [](const Tensor& of) {
    return tensor(std::vector<float>(others, others + 6), {6}).reshape(of.shape());
  };
#define WEFT_CHECK_LINE(Functor, name, ...)                                                              \
  check(                                                                                                 \
      #name, x,                                                                                          \
      [](const Tensor& v) {                                                                              \
        return weft::name##_(v, tensor(std::vector<float>(others, others + 6), {6}).reshape(v.shape())); \
      },                                                                                                 \
      weft::name(x, other(x)));
  WEFT_BINARY_OPS(WEFT_CHECK_LINE)
#undef WEFT_CHECK_LINE
}

TEST_CASE("in place: the other operand is broadcast and cast, and may be the tensor itself") {
  Tensor x = ones({2, 3}, {.dtype = DType::f16});
  sub_(x, tensor({0.5, 1.0, 2.0}));
  CHECK(x.to_vector<float>() == std::vector<float>{0.5f, 0, -1, 0.5f, 0, -1});
  mul_(x, x);
  CHECK(x.to_vector<float>() == std::vector<float>{0.25f, 0, 1, 0.25f, 0, 1});
  const Tensor n = tensor({int64_t{7}, int64_t{-7}});
  CHECK(remainder_(n, tensor({int64_t{4}})).to_vector<int64_t>() == std::vector<int64_t>{3, 1});
  const Tensor bytes = tensor({1.0f, 2.0f}).to(DType::u8);
  CHECK(sub_(bytes, 2).to_vector<int>() == std::vector<int>{255, 0});
  CHECK(throws<DtypeError>("div_: int64 with int64 would lose its fraction; …", [&] { div_(n, n); }) == "");
  CHECK(throws<ShapeError>("sub_: shape [2, 3] does not broadcast to [3]", [] {
          sub_(ones({3}), ones({2, 3}));
        }) == "");
}

TEST_CASE("in place: refused on tracked tensors while recording, and where the tape needs the old values") {
  Tensor w = ones({3}).attach_grad(), x = tensor({1.0f, -2.0f, 3.0f});
  relu_(w);  // outside Record
  Tensor loss;
  {
    const autograd::Record record;
    CHECK(throws<AutogradError>("relu_: the tensor ([3], cpu:0) is tracked and in-place operations are not recorded; …",
                                [&] { relu_(w); }) == "");
    CHECK(throws<AutogradError>("sub_: the other operand …", [&] { sub_(x, w); }) == "");
    CHECK(throws<AutogradError>("clamp_: the tensor …", [&] { clamp_(w * 2, 0, 1); }) == "");
    loss = sum(w * x);
  }
  relu_(x);
  CHECK(throws<AutogradError>("…relu_…", [&] { loss.backward(); }) == "");
}
