// Arithmetic and comparisons of two operands: broadcasting, promotion, numbers in expressions, in-place sums, big
// tensors.
#include "weft/tensor/ops/binary.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_table.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/record_scope.h"
#include "weft/tensor/cpu/threads.h"
#include "weft/tensor/ops/copy.h"

using namespace weft;
using namespace weft::test;

namespace {

using Function = Tensor (*)(const Tensor&, const Tensor&);
using Naive = double (*)(double, double);

OpFunction of(Function f) {
  return [f](const Tensors& v) { return f(v[0], v[1]); };
}
Reference by(Naive f) {
  return [f](const Arrays& v) { return zip(v[0], v[1], f); };
}

const std::vector<DType> number_dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64, DType::i32};

// The shapes in which operands meet. `second` makes the right operand's recipe (away from zero for division).
void add_rows(Op& op, Function f, Naive naive, Input (*second)(const Shape&), const RowOptions& options = {}) {
  const auto first = [](const Shape& shape) { return input(shape); };
  op.row("same shape", {first({3, 4, 5}), second({3, 4, 5})}, of(f), by(naive), options)
      .row("image", {first({2, 3, 4, 5}), second({2, 3, 4, 5})}, of(f), by(naive), options)
      .row("one per channel", {first({2, 3, 4, 5}), second({3, 1, 1})}, of(f), by(naive), options)
      .row("per channel first", {first({3, 1, 1}), second({2, 3, 4, 5})}, of(f), by(naive), options)
      .row("last dimension", {first({6, 37}), second({37})}, of(f), by(naive), options)
      .row("column", {first({6, 37}), second({6, 1})}, of(f), by(naive), options)
      .row("both ways", {first({4, 1, 3}), second({5, 1})}, of(f), by(naive), options)
      .row("one element", {first({4, 9}), second({})}, of(f), by(naive), options)
      .row("rank 0", {first({}), second({})}, of(f), by(naive), options)
      .row("no elements", {first({0, 4}), second({4})}, of(f), by(naive), options)
      .row("no elements against one", {first({3, 0}), second({1})}, of(f), by(naive), options);
}

Input any(const Shape& shape) { return input(shape); }
Input positive(const Shape& shape) { return input(shape).positive(); }

Input whole(const Shape& shape) { return input(shape).integers(); }

void add_errors(Op& op, Function f) {
  op.error<ShapeError>("shapes", op.name + ": shapes [2, 3] and [4] do not broadcast (dimension 1: 3 against 4)", [f] {
      f(ones({2, 3}), ones({4}));
    }).error<DeviceError>("devices", op.name + ": operands on cpu:0 and cpu:1; move one with .to(cpu:0)", [f] {
    f(ones({2}), ones({2}, {.device = "cpu:1"}));
  });
}

double larger_of(double a, double b) { return a > b ? a : b; }
double smaller_of(double a, double b) { return a < b ? a : b; }

struct Arithmetic {
  const char* name;
  Function f;
  Naive naive;
};
const Arithmetic arithmetic[] = {
    {"add", add, [](double a, double b) { return a + b; }},
    {"sub", sub, [](double a, double b) { return a - b; }},
    {"mul", mul, [](double a, double b) { return a * b; }},
    {"div", weft::div, [](double a, double b) { return a / b; }},
    {"maximum", maximum, larger_of},
    {"minimum", minimum, smaller_of},
};

double as_bool(double x) { return double(x != 0); }

const Arithmetic comparisons[] = {
    {"equal", equal, [](double a, double b) { return double(a == b); }},
    {"not_equal", not_equal, [](double a, double b) { return double(a != b); }},
    {"less", less, [](double a, double b) { return double(a < b); }},
    {"less_equal", less_equal, [](double a, double b) { return double(a <= b); }},
    {"greater", greater, [](double a, double b) { return double(a > b); }},
    {"greater_equal", greater_equal, [](double a, double b) { return double(a >= b); }},
    {"logical_and", logical_and, [](double a, double b) { return as_bool(a) * as_bool(b); }},
    {"logical_or", logical_or, [](double a, double b) { return std::max(as_bool(a), as_bool(b)); }},
    {"logical_xor", logical_xor, [](double a, double b) { return double(as_bool(a) != as_bool(b)); }},
};

}  // namespace

OP_TABLE(binary) {
  for (const Arithmetic& a : arithmetic) {
    Op& op = table.op(a.name);
    const bool division = std::string(a.name) == "div";
    add_rows(op, a.f, a.naive, division ? positive : any);
    RowOptions whole_numbers{.dtypes = number_dtypes, .exact = true};
    if (division)
      whole_numbers.no_gradient = "ties and zeros of whole numbers", whole_numbers.dtypes = {DType::i64, DType::i32};
    if (division) whole_numbers.result = DType::f32;
    if (std::string(a.name).find("imum") != std::string::npos)
      whole_numbers.no_gradient = "whole numbers tie, where there is no derivative";
    op.row("integers", {whole({3, 7}), division ? input({3, 7}).integers(1, 4) : whole({3, 7})}, of(a.f), by(a.naive),
           whole_numbers);
    add_errors(op, a.f);
  }
  table.op("add").row("mixed dtypes", {input({3, 5}), input({5}).dtype(DType::f32).untracked()}, of(add),
                      by([](double a, double b) { return a + b; }), {.dtypes = {DType::f64}});
  table.op("sub").error<DtypeError>("bool", "sub: bool values are no numbers here; …", [] {
    const Tensor x = ones({2}, {.dtype = DType::boolean});
    sub(x, x);
  });
  const RowOptions bools{
      .dtypes = all_dtypes, .exact = true, .result = DType::boolean, .no_gradient = "a comparison has none"};
  for (const Arithmetic& c : comparisons) {
    Op& op = table.op(c.name);
    add_rows(op, c.f, c.naive, whole, bools);
    op.row("ties", {input({5, 9}).integers(-1, 1), input({5, 9}).integers(-1, 1)}, of(c.f), by(c.naive), bools);
    add_errors(op, c.f);
  }
}

TEST_CASE("binary: operators and numbers") {
  const Tensor x = tensor({1.0f, 2.0f, 4.0f}), n = tensor({int64_t{1}, int64_t{2}, int64_t{4}});
  const auto values = [](const Tensor& y) { return y.to_vector<double>(); };
  using V = std::vector<double>;
  CHECK(values(x + 1) == V{2, 3, 5});
  CHECK(values(1 - x) == V{0, -1, -3});
  CHECK(values(x - 0.5) == V{0.5, 1.5, 3.5});
  CHECK(values(2 * x) == V{2, 4, 8});
  CHECK(values(x / 4) == V{0.25, 0.5, 1});
  CHECK(values(4 / x) == V{4, 2, 1});
  CHECK(values(-x) == V{-1, -2, -4});
  CHECK(values(x * x - x / x + x) == V{1, 5, 19});
  CHECK((x * 2).dtype() == DType::f32);
  CHECK((n * 2).dtype() == DType::i64);
  CHECK((n * 2.5).dtype() == DType::f32);
  CHECK(values(n * 2.5) == V{2.5, 5, 10});
  CHECK((n / 2).dtype() == DType::f32);
  CHECK(values(n / 2) == V{0.5, 1, 2});
  CHECK((n / n).dtype() == DType::f32);
  const Tensor yes = tensor({true, false, true});
  CHECK((yes + 1).dtype() == DType::i64);
  CHECK((yes * 0.5).dtype() == DType::f32);
  CHECK(values(greater(x, 1.5)) == V{0, 1, 1});
  CHECK(values(greater(n, 1.5)) == V{0, 1, 1});
  CHECK(values(less(n, 1e30)) == V{1, 1, 1});
  CHECK(values(equal(n, 255)) == V{0, 0, 0});
  CHECK(values(not_equal(yes, 0)) == V{1, 0, 1});
  CHECK(std::signbit((tensor({-0.0f}) * 2).item<float>()));
  CHECK(values(add(yes, yes)) == V{1, 0, 1});
  CHECK(add(yes, yes).dtype() == DType::boolean);
}

TEST_CASE("binary: division by a number is division by a tensor, to the bit") {
  const Tensor x = tensor(make_values(input({1000}), 3).values, {1000}).to(DType::f32);
  for (const double divisor : {3.0, 7.0, 0.1, 1e-3})
    CHECK((x / divisor).to_vector<float>() == (x / full({}, divisor)).to_vector<float>());
}

TEST_CASE("binary: promotion") {
  const auto dtype = [](DType a, DType b) { return add(ones({2}, {.dtype = a}), ones({2}, {.dtype = b})).dtype(); };
  CHECK(dtype(DType::f16, DType::bf16) == DType::f32);
  CHECK(dtype(DType::f16, DType::i64) == DType::f16);
  CHECK(dtype(DType::u8, DType::i32) == DType::i32);
  CHECK(dtype(DType::boolean, DType::u8) == DType::u8);
  CHECK(dtype(DType::f32, DType::f64) == DType::f64);
}

TEST_CASE("binary: the result lies in memory as the first dense operand of the full shape") {
  const Tensor image = empty({2, 3, 4, 5}, {}, Layout::channels_last);
  const Tensor bias = ones({3, 1, 1});
  const Tensor filled = full({2, 3, 4, 5}, 2);
  CHECK(add(image, bias).strides() == image.strides());
  CHECK(add(bias, image).strides() == image.strides());
  CHECK(add(image, filled).strides() == image.strides());
  CHECK(add(filled, image).strides() == filled.strides());
  CHECK(add(image.slice(3, 0, 5, 2), bias).is_contiguous());
  CHECK(less(image, 0).strides() == image.strides());
}

TEST_CASE("binary: NaN wins in maximum and minimum, and compares unequal") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor a = tensor({nan, 1.0f, nan}), b = tensor({1.0f, nan, nan});
  for (const float v : maximum(a, b).to_vector<float>()) CHECK(std::isnan(v));
  for (const float v : minimum(a, b).to_vector<float>()) CHECK(std::isnan(v));
  CHECK(equal(a, a).to_vector<uint8_t>() == std::vector<uint8_t>{0, 1, 0});
  CHECK(not_equal(a, a).to_vector<uint8_t>() == std::vector<uint8_t>{1, 0, 1});
}

TEST_CASE("binary: gradients come back in the operand's shape and dtype, ties are shared") {
  Tensor a = ones({2, 3}, {.dtype = DType::f16}).attach_grad(), b = ones({3}, {.dtype = DType::f32}).attach_grad();
  {
    const autograd::Record record;
    const Tensor loss = sum(maximum(a, b));
    loss.backward();
  }
  CHECK(a.grad().dtype() == DType::f16);
  CHECK(b.grad().shape() == Shape{3});
  CHECK(a.grad().to_vector<float>() == std::vector<float>(6, 0.5f));
  CHECK(b.grad().to_vector<float>() == std::vector<float>(3, 1.0f));
}

TEST_CASE("binary: every layout gives the bits of the contiguous operands") {
  const Shape shape = {5, 33, 7};
  const Array a = make_values(input(shape), 11), b = make_values(input(shape), 12);
  for (const DType dtype : {DType::f32, DType::f64, DType::f16}) {
    const Tensor whole = mul(make_tensor(a, dtype), make_tensor(b, dtype));
    for (const Arrangement left :
         {Arrangement::transposed, Arrangement::channels_last, Arrangement::offset_slice, Arrangement::stride_2})
      for (const Arrangement right : {Arrangement::contiguous, Arrangement::transposed, Arrangement::stride_2})
        CHECK(mul(make_tensor(a, dtype, {}, left), make_tensor(b, dtype, {}, right)).to_vector<double>() ==
              whole.to_vector<double>());
  }
}

TEST_CASE("binary: more elements than one thread takes") {
  const int64_t n = 300007;
  const Tensor x = arange(0, n, 1, {.dtype = DType::f64}), y = x * 2;
  for (const int team : {1, 2, 5}) {
    const cpu::TeamGuard guard(team);
    const std::vector<double> sums = (x + y).to_vector<double>();
    bool right = true;
    for (int64_t i = 0; i < n; ++i) right = right && sums[static_cast<size_t>(i)] == 3.0 * static_cast<double>(i);
    CHECK(right);
    const Tensor wide = add(x.reshape({1, n}).expand({3, n}), tensor({1.0, 2.0, 3.0}).reshape({3, 1}));
    CHECK(wide[2].slice(0, n - 1, n).item<double>() == static_cast<double>(n - 1) + 3);
    CHECK(wide[0].slice(0, 0, 1).item<double>() == 1);
  }
}

TEST_CASE("add_ and mul_: in place, in any layout, with a version and refusals") {
  Tensor x = zeros({3, 4});
  const uint32_t before = x.storage().version();
  x.add_(ones({4})).add_(ones({3, 1}), 0.5).mul_(2);
  CHECK(x.to_vector<float>() == std::vector<float>(12, 3));
  CHECK(x.storage().version() == before + 3);
  CHECK(std::string(x.storage().last_writer()) == "mul_");
  Tensor middle = x.slice(1, 1, 3);
  middle.mul_(10).add_(ones({3, 2}));
  CHECK(x[0].to_vector<float>() == std::vector<float>{3, 31, 31, 3});
  Tensor line = tensor({1.0f, 2.0f, 3.0f, 4.0f});
  line.slice(0, 1, 4).add_(line.slice(0, 0, 3));  // overlapping, not the same: as if the operand had been copied
  CHECK(line.to_vector<float>() == std::vector<float>{1, 3, 5, 7});
  line.add_(line);
  CHECK(line.to_vector<float>() == std::vector<float>{2, 6, 10, 14});
  CHECK(throws<ShapeError>("add_: elements of the destination share memory (shape [3, 4], strides [0, 1]); …", [] {
          ones({4}).expand({3, 4}).add_(ones({4}));
        }) == "");
  CHECK(throws<ShapeError>("add_: shape [2, 4] does not broadcast to [4]", [] { ones({4}).add_(ones({2, 4})); }) == "");
  CHECK(throws<DtypeError>("add_: float32 with int64 would lose its fraction; …",
                           [] { ones({4}, {.dtype = DType::i64}).add_(ones({4})); }) == "");
  CHECK(throws<DtypeError>("mul_: factor 0.5 does not fit int64; …",
                           [] { ones({4}, {.dtype = DType::i64}).mul_(0.5); }) == "");
}

TEST_CASE("in place on tracked tensors is refused while recording") {
  Tensor w = ones({2}).attach_grad();
  Tensor x = ones({2});
  w.add_(x);  // outside Record: an optimizer's step
  const autograd::Record record;
  CHECK(throws<AutogradError>("add_: the tensor ([2], cpu:0) is tracked and in-place operations are not recorded; …",
                              [&] { w.add_(x); }) == "");
  CHECK(throws<AutogradError>("mul_: the tensor …", [&] { (w * 2).mul_(2); }) == "");
  CHECK(throws<AutogradError>("fill_: the tensor …", [&] { w[0].fill_(2); }) == "");
  CHECK(throws<AutogradError>("copy_: the source …", [&] { x.copy_(w); }) == "");
  CHECK(throws<AutogradError>("add_: the other operand …", [&] { x.add_(w); }) == "");
  w.detach().add_(x);
  CHECK(w.to_vector<float>() == std::vector<float>{3, 3});
}
