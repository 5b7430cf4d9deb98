// The op table watches itself: nothing may be missing from it, and each kind of cell finds the fault it is there for.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/support/hooks.h"
#include "tests/support/op_table_run.h"
#include "tests/support/paths.h"
#include "weft/autograd/function.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/record.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/pointwise.h"

using namespace weft;
using namespace weft::test;

namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Headers in tensor/ops/ that declare an operation: those with a kernel or a recorded twin. The rest are helpers.
std::vector<std::string> op_stems() {
  std::vector<std::string> stems;
  for (const auto& entry : std::filesystem::directory_iterator(source_path("tensor/ops"))) {
    if (entry.path().extension() != ".h") continue;
    const std::string stem = entry.path().stem();
    const bool recorded = std::filesystem::exists(source_path("autograd/ops/" + stem + ".h"));
    if (recorded || read(entry.path()).find("extern Kernel<") != std::string::npos) stems.push_back(stem);
  }
  std::sort(stems.begin(), stems.end());
  return stems;
}

// The name in "Tensor name(…", "PerDevice<Tensor> name(…" and the like at the beginning of a line, else nothing.
std::string declared_name(const std::string& line) {
  const size_t open = line.find('('), space = line.rfind(' ', open);
  if (open == std::string::npos || space == std::string::npos || space == 0 || !std::isupper(line[0])) return {};
  const std::string type = line.substr(0, space), name = line.substr(space + 1, open - space - 1);
  const bool one_type = type.find(' ') == std::string::npos || type.back() == '>';
  return one_type && !name.empty() && std::islower(name[0]) ? name : std::string();
}

// Names of the recorded functions: declared in autograd/ops/*.h outside namespace autograd, or listed in pointwise.h.
std::vector<std::string> recorded_names() {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(source_path("autograd/ops"))) {
    if (entry.path().extension() != ".h") continue;
    std::ifstream file(entry.path());
    bool inner = false;
    for (std::string line; std::getline(file, line);) {
      if (line.find("namespace autograd {") != std::string::npos) inner = true;
      if (line.find("}  // namespace autograd") != std::string::npos) inner = false;
      const std::string name = declared_name(line);
      if (!inner && !name.empty()) names.insert(name);
    }
  }
#define WEFT_INSERT(Functor, name, ...) names.insert(#name);
  WEFT_UNARY_OPS(WEFT_INSERT)
  WEFT_BINARY_OPS(WEFT_INSERT)
  WEFT_COMPARE_OPS(WEFT_INSERT)
#undef WEFT_INSERT
  names.erase("name");  // the parameter of the macros above, seen as text
  return {names.begin(), names.end()};
}

}  // namespace

TEST_CASE("op table: every operation of the folder has rows, and no cell is empty without a reason") {
  const std::vector<std::string> stems = op_stems(), names = recorded_names();
  CHECK(stems.size() > 5);
  CHECK(std::find(names.begin(), names.end(), "softmax") != names.end());
  CHECK(std::find(names.begin(), names.end(), "tanh") != names.end());
  CHECK(std::find(names.begin(), names.end(), "softmax_backward") == names.end());
  std::printf("rows that plan a cell, operation x cell:\n%s", matrix_of_plans(all_ops()).c_str());
  for (const std::string& what : missing(all_ops(), stems, names)) FAIL_CHECK(what);
}

TEST_CASE("op table: an operation without rows, a cell without a reason are found") {
  Op bare("thing", "thing");
  bare.row("value", {input({2})}, [](const Tensors& v) { return v[0]; }, {}, {.no_gradient = "it has none"});
  std::vector<std::string> list = missing({&bare}, {"thing", "other"}, {"thing", "third"});
  auto has = [&](const char* text) {
    return std::any_of(list.begin(), list.end(), [&](const std::string& line) { return line.find(text) == 0; });
  };
  CHECK(has("thing: no row fills 'zero sizes'"));
  CHECK(has("thing: no row fills 'errors'"));
  CHECK(has("tensor/ops/other.h: no OP_TABLE(other)"));
  CHECK(has("third: a recorded function"));
  CHECK(list.size() == 4);
  bare.none(Cell::errors, "takes anything").none(Cell::zero_sizes, "none");
  CHECK(missing({&bare}, {"thing"}, {"thing"}).empty());
}

// ---- Faults planted in operations, and the cell that must find each
// ---------------------------------------------------

namespace {

struct Wrong {
  const char* fault;
  Cell cell;
  Op op;
};

Tensor twice(const Tensor& x) { return mul(x, full({}, 2, {.dtype = x.dtype(), .device = x.device()})); }
Array naive_twice(const Arrays& v) {
  return map(v[0], [](double x) { return 2 * x; });
}

// An operation of one input whose value is that of `value` and whose gradient is that of `gradient`.
template <class Value, class Gradient>
Tensor custom(const Tensor& x, Value value, Gradient gradient) {
  Tensor y;
  {
    const autograd::NoGrad pause;
    y = value(x);
  }
  if (!autograd::tracked(x)) return y;
  return autograd::record("custom", y, autograd::edge(x, [gradient](const Tensor& dy) { return gradient(dy); }));
}

// x's memory read in row-major order, as by a kernel that knows no strides; x where that would leave its storage.
Tensor strides_forgotten(const Tensor& x) {
  const size_t last = static_cast<size_t>(x.numel()) * size_of(x.dtype());
  return x.is_contiguous() || x.storage().bytes() < last ? x : ops::view(x, x.shape(), strides_of(x.shape()), 0);
}

RowResult result_of(Op& op) { return run_row(op.rows.at(0)); }

bool found(const RowResult& result, Cell cell) {
  return std::any_of(result.findings.begin(), result.findings.end(), [&](const Finding& f) { return f.cell == cell; });
}

std::string texts(const RowResult& result) {
  std::string text;
  for (const Finding& f : result.findings) text += std::string(name_of(f.cell)) + ": " + f.text + "\n";
  return text;
}

Op operation(OpFunction function, RowOptions options = {}, Shape shape = {3, 4, 5}) {
  Op op("planted", "planted");
  op.row("row", {input(shape)}, std::move(function), naive_twice, std::move(options));
  return op;
}

}  // namespace

TEST_CASE("op table: a right operation passes in every cell") {
  Op op = operation([](const Tensors& v) { return twice(v[0]); });
  const RowResult result = result_of(op);
  INFO(texts(result));
  CHECK(result.findings.empty());
  if (simulated()) return;
  for (const Cell cell : {Cell::value, Cell::gradient, Cell::second_gradient, Cell::layouts, Cell::dtypes})
    CHECK(result.compared[static_cast<size_t>(cell)] > 0);
}

TEST_CASE("op table: planted faults are found, each by its cell") {
  if (simulated()) return;  // where only the cells for CUDA run
  const auto half = [](const Tensor& x) { return mul(x, full({}, 0.5, {.dtype = x.dtype()})); };
  std::vector<Wrong> wrongs;
  wrongs.push_back(
      {"value", Cell::value, operation([&](const Tensors& v) { return twice(twice(half(half(twice(v[0]))))); })});
  wrongs.back().op = operation([&](const Tensors& v) { return twice(twice(v[0])); });
  wrongs.push_back({"a changed operand", Cell::value, operation([](const Tensors& v) {
                      Tensor y = twice(v[0]);
                      if (!autograd::is_recording()) v[0].detach().fill_(1);
                      return y;
                    })});
  wrongs.push_back(
      {"gradient", Cell::gradient, operation([&](const Tensors& v) { return custom(v[0], twice, half); })});
  wrongs.push_back({"second gradient", Cell::second_gradient, operation([](const Tensors& v) {
                      // A first gradient that is right, of which the tape knows nothing.
                      return custom(v[0], twice, [](const Tensor& dy) { return twice(dy.detach()); });
                    })});
  wrongs.push_back({"layout of the input", Cell::layouts,
                    operation([](const Tensors& v) { return twice(strides_forgotten(v[0])); })});
  wrongs.push_back({"layout of the incoming gradient", Cell::layouts, operation([](const Tensors& v) {
                      return custom(v[0], twice, [](const Tensor& dy) { return twice(strides_forgotten(dy)); });
                    })});
  wrongs.push_back({"float16", Cell::dtypes, operation([](const Tensors& v) {
                      return v[0].dtype() == DType::f16 ? twice(twice(v[0])) : twice(v[0]);
                    })});
  wrongs.push_back({"dtype of the result", Cell::dtypes, operation([](const Tensors& v) {
                      return v[0].dtype() == DType::bf16 ? twice(v[0]).to(DType::f32) : twice(v[0]);
                    })});
  wrongs.push_back({"gradient in bfloat16", Cell::dtypes, operation([&](const Tensors& v) {
                      return custom(v[0], twice,
                                    [&](const Tensor& dy) { return dy.dtype() == DType::bf16 ? half(dy) : twice(dy); });
                    })});
  wrongs.push_back({"shape of an empty result", Cell::zero_sizes,
                    operation([](const Tensors& v) { return twice(v[0]).reshape({0}); }, {}, {0, 4})});
  for (Wrong& wrong : wrongs) {
    const RowResult result = result_of(wrong.op);
    CAPTURE(wrong.fault);
    CHECK(found(result, wrong.cell));
  }
}

TEST_CASE("op table: errors are compared by type and text") {
  auto shape_error = [] { fail<ShapeError>("add: shapes [2] and [3] do not broadcast"); };
  CHECK(throws<ShapeError>("add: shapes [2] and [3] do not broadcast", shape_error) == "");
  CHECK(throws<ShapeError>("add: … do not broadcast", shape_error) == "");
  CHECK(throws<ShapeError>("add: …[3]…", shape_error) == "");
  CHECK(throws<ShapeError>("add: …[4]…", shape_error) != "");
  CHECK(throws<ShapeError>("add: shapes", shape_error) != "");
  CHECK(throws<Error>("add: …", shape_error) != "");
  CHECK(throws<DtypeError>("add: …", shape_error) != "");
  CHECK(throws<ShapeError>("add: …", [] {}) != "");
}

TEST_CASE("comparison: NaN, infinities, shapes, tolerances") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  auto differs = [](double got, double want, Tolerance t = {}) {
    return !difference(Array({1}, {got}), Array({1}, {want}), t).empty();
  };
  CHECK(!differs(1, 1));
  CHECK(!differs(nan, nan));
  CHECK(!differs(inf, inf));
  CHECK(differs(inf, -inf, {1, 1}));
  CHECK(differs(nan, 1, {1, 1}));
  CHECK(differs(1, nan, {1, 1}));
  CHECK(differs(1, inf, {1, 1}));
  CHECK(differs(1, 1.001, {1e-4, 1e-4}));
  CHECK(!differs(1, 1.001, {1e-3, 1e-4}));
  CHECK(!difference(Array({2}), Array({1, 2}), {1, 1}).empty());
  CHECK(!gradient_difference(Array({1}, {nan}), Array({1}, {0}), 1).empty());
}

TEST_CASE("arrangements hold the same values and are what they are called") {
  const Array x = make_values(input({3, 4, 5, 2}), seed_for("arrangements"));
  for (int a = 0; a < arrangements; ++a) {
    const auto arrangement = static_cast<Arrangement>(a);
    REQUIRE(permits(x.shape, arrangement));
    const Array values = representable(x, arrangement);
    for (const DType dtype : all_dtypes) {
      const Tensor t = make_tensor(values, dtype, {}, arrangement);
      CHECK(difference(to_array(t), rounded(values, dtype), {}) == "");
      CHECK(t.is_contiguous() == (arrangement == Arrangement::contiguous));
    }
  }
  const Tensor t = make_tensor(x, DType::f32, {}, Arrangement::channels_last);
  CHECK(t.is_contiguous(Layout::channels_last));
  CHECK(make_tensor(representable(x, Arrangement::expanded_last), DType::f32, {}, Arrangement::expanded_last)
            .strides()[3] == 0);
  CHECK(!permits({1}, Arrangement::expanded_first));
  CHECK(!permits({0, 3}, Arrangement::stride_2));
  CHECK(!permits({}, Arrangement::offset_slice));
}
