// The cells of a row: what is compared with what. One file although it is long: a cell is a dozen lines, and all of
// them share the variants of operands and the report of a difference.
#include "tests/support/op_table_run.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <unordered_map>

#include "tests/support/hooks.h"
#include "weft/autograd/gradcheck.h"
#include "weft/autograd/record_scope.h"

namespace weft::test {

namespace {

thread_local DType dtype_of_run = DType::f64;
constexpr Arrangement contiguous = Arrangement::contiguous;

/// Inputs of one run: which dtype, where, and how each lies in memory.
struct Setting {
  DType dtype = DType::f64;
  Device device = {};
  std::vector<Arrangement> arrangements = {};
  Arrangement incoming = contiguous;  // of the gradient that arrives
  bool wide = false;                  // floating inputs of a dtype of their own are f64 too
};

std::string to_string(const Setting& s) {
  std::string text = detail::concat(s.dtype, ", ", s.device);
  for (size_t i = 0; i < s.arrangements.size(); ++i)
    if (s.arrangements[i] != contiguous) text += ", input " + std::to_string(i) + " " + name_of(s.arrangements[i]);
  if (s.incoming != contiguous) text += std::string(", incoming gradient ") + name_of(s.incoming);
  return text;
}

class Run {
 public:
  explicit Run(const Row& row) : row_(row), options_(row.options) {
    for (size_t i = 0; i < row.inputs.size(); ++i)
      values_.push_back(make_values(row.inputs[i], seed_for(row.name + "#" + std::to_string(i))));
  }

  RowResult all() {
    if (row_.error) {
      check(Cell::errors, "", [&] { return row_.error(); });
      return result_;
    }
    if (on_cpu()) {
      if (plans(Cell::value)) value(Cell::value, {.dtype = options_.dtypes[0]});
      if (plans(Cell::gradient)) check(Cell::gradient, "", [&] { return numeric(&autograd::gradcheck); });
      if (plans(Cell::second_gradient))
        check(Cell::second_gradient, "", [&] { return numeric(&autograd::gradgradcheck); });
      if (plans(Cell::layouts)) layouts(Cell::layouts, {});
      if (plans(Cell::zero_sizes)) zero_sizes(Cell::zero_sizes, {});
      if (plans(Cell::dtypes)) dtypes();
    }
    if (plans(Cell::cuda) && cuda_or_skip()) cuda({DeviceType::cuda, device_count(DeviceType::cuda) > 1 ? 1 : 0});
    for (int c = 0; c < cells; ++c) expect_compared(static_cast<Cell>(c));
    return result_;
  }

 private:
  static bool on_cpu() { return !simulated() && !on_cuda_alone(); }
  bool plans(Cell cell) const { return row_.plans[static_cast<int>(cell)]; }

  // A cell that was to run and compared nothing is a defect of the table.
  void expect_compared(Cell cell) {
    const bool runs = cell == Cell::cuda ? device_count(DeviceType::cuda) > 0 : on_cpu();
    if (plans(cell) && runs && !result_.compared[static_cast<size_t>(cell)])
      result_.findings.push_back({cell, "planned, but nothing was compared"});
  }

  template <class F>
  void check(Cell cell, const std::string& where, F&& f) {
    std::string problem;
    try {
      problem = f();
    } catch (const std::exception& e) {
      problem = std::string("throws: ") + e.what();
    }
    ++result_.compared[static_cast<size_t>(cell)];
    if (!problem.empty()) result_.findings.push_back({cell, where.empty() ? problem : where + ": " + problem});
  }

  Arrangement arrangement(const Setting& s, size_t i) const {
    return s.arrangements.empty() || !row_.inputs[i].rearranged ? contiguous : s.arrangements[i];
  }
  // The values of the inputs as this setting can hold them.
  Arrays host(const Setting& s) const {
    Arrays x;
    for (size_t i = 0; i < values_.size(); ++i)
      x.push_back(rounded(representable(values_[i], arrangement(s, i)), dtype_of_input(s, i)));
    return x;
  }
  DType dtype_of_input(const Setting& s, size_t i) const {
    const DType dtype = row_.inputs[i].dtype_in(s.dtype);
    return s.wide && is_floating(dtype) ? DType::f64 : dtype;
  }
  Tensors tensors(const Arrays& x, const Setting& s) const {
    Tensors v;
    for (size_t i = 0; i < x.size(); ++i)
      v.push_back(make_tensor(x[i], dtype_of_input(s, i), s.device, arrangement(s, i)));
    return v;
  }
  Tensor apply(const Tensors& v, const Setting& s) const {
    dtype_of_run = s.dtype;
    const DeviceGuard guard(s.device);
    return row_.function(v);
  }

  // ---- value

  std::string wrong_kind(const Tensor& y, const Setting& s) const {
    const bool follows =
        std::any_of(row_.inputs.begin(), row_.inputs.end(), [](const Input& x) { return x.follows_row; });
    const DType dtype = options_.result ? *options_.result : follows ? s.dtype : y.dtype();
    if (y.dtype() != dtype) return detail::concat("the result is ", y.dtype(), ", expected ", dtype);
    if (y.device() != s.device) return detail::concat("the result is on ", y.device());
    return "";
  }

  void value(Cell cell, const Setting& s) {
    check(cell, to_string(s), [&] {
      const Arrays x = host(s);
      const Tensors v = tensors(x, s);
      const Tensor y = apply(v, s);
      if (const std::string kind = wrong_kind(y, s); !kind.empty()) return kind;
      for (size_t i = 0; i < x.size(); ++i)
        if (const std::string text = difference(to_array(v[i]), x[i], {}); !text.empty())
          return "input " + std::to_string(i) + " has changed: " + text;
      Array want = row_.reference ? row_.reference(x) : Array(y.shape());
      Tolerance tolerance = options_.exact ? Tolerance{} : tolerance_of(y.dtype());
      tolerance.relative *= options_.slack, tolerance.absolute *= options_.slack;
      return difference(to_array(y), options_.exact ? rounded(want, y.dtype()) : want, tolerance);
    });
  }

  // ---- gradients

  template <class Check>
  std::string numeric(Check check_gradient) const {
    const Setting s{.wide = true};
    const Tensors v = tensors(host(s), s);
    Tensors tracked;
    for (size_t i = 0; i < v.size(); ++i)
      if (row_.inputs[i].tracked_in(s.dtype)) tracked.push_back(v[i]);
    auto function = [&](const Tensors& given) {
      Tensors all = v;
      for (size_t i = 0, next = 0; i < v.size(); ++i)
        if (row_.inputs[i].tracked_in(s.dtype)) all[i] = given[next++];
      return apply(all, s);
    };
    const autograd::GradcheckResult result = check_gradient(function, tracked, autograd::GradcheckOptions{});
    return result.ok ? "" : result.text.empty() ? "failed" : result.text;
  }

  // Values of the incoming gradient, as the setting can hold them.
  Array incoming(const Tensor& y, const Setting& s) const {
    const Input recipe = options_.exact ? input(y.shape()).integers(-2, 2) : input(y.shape()).range(-1, 1);
    const Array dy = make_values(recipe, seed_for(row_.name + "#dy"));
    return rounded(permits(y.shape(), s.incoming) ? representable(dy, s.incoming) : dy, y.dtype());
  }

  // Gradients by the tracked inputs, in order, at x with incoming gradient `dy` (made by incoming() if null).
  Arrays gradients(const Arrays& x, const Setting& s, Array* dy) const {
    Tensors v = tensors(x, s), tracked;
    for (size_t i = 0; i < v.size(); ++i)
      if (row_.inputs[i].tracked_in(s.dtype)) tracked.push_back(v[i].attach_grad());
    Tensor y;
    {
      const autograd::Record record;
      y = apply(v, s);
    }
    if (!y.requires_grad()) fail("the result is not tracked");
    if (dy->shape.empty() && dy->values.empty()) *dy = incoming(y, s);
    const Arrangement arranged = permits(y.shape(), s.incoming) ? s.incoming : contiguous;
    const Tensors dxs = autograd::grad(
        {y}, tracked, {.head_grads = {make_tensor(*dy, y.dtype(), s.device, arranged)}, .allow_unused = true});
    return arrays(dxs, tracked);
  }

  static Arrays arrays(const Tensors& dxs, const Tensors& tracked) {
    Arrays result;
    for (size_t i = 0; i < dxs.size(); ++i) {
      const Tensor &x = tracked[i], &dx = dxs[i];
      if (!dx.defined()) {
        result.push_back(Array(x.shape()));
        continue;
      }
      if (!(dx.shape() == x.shape()) || dx.dtype() != x.dtype() || dx.device() != x.device())
        fail("gradient ", i, " is ", dx.dtype(), dx.shape(), " on ", dx.device(), " for an input ", x.dtype(),
             x.shape(), " on ", x.device());
      result.push_back(to_array(dx));
    }
    return result;
  }

  // Gradients by the tracked inputs, then further ones, in a run of `dtype`: rounded to it, or to the input's own.
  std::string compare(const Arrays& got, const Arrays& want, DType dtype, double widening = 4) const {
    std::vector<DType> dtypes;
    for (const Input& x : row_.inputs)
      if (x.tracked_in(dtype)) dtypes.push_back(x.dtype_in(dtype));
    for (size_t i = 0; i < want.size(); ++i) {
      double relative = tolerance_of(dtype).relative;
      if (i < dtypes.size()) relative = std::max(relative, tolerance_of(dtypes[i]).relative);
      relative *= options_.exact ? 0 : widening * options_.gradient_slack;
      if (const std::string text = gradient_difference(got[i], want[i], relative); !text.empty())
        return "gradient " + std::to_string(i) + ": " + text;
    }
    return "";
  }

  // The gradient in this setting against that of contiguous f64 tensors on the CPU with the same values.
  void gradient(Cell cell, const Setting& s) {
    check(cell, "gradient, " + to_string(s), [&] {
      const Arrays x = host(s);
      Array dy;
      const Arrays got = gradients(x, s, &dy);
      return compare(got, gradients(x, {.wide = true}, &dy), s.dtype);
    });
  }

  // d(sum(u dx))/d(x, dy) for fixed u.
  Arrays second_gradients(const Setting& s, DType rounded_to) const {
    Tensors v = tensors(host({.dtype = rounded_to}), s), variables;
    for (size_t i = 0; i < v.size(); ++i)
      if (row_.inputs[i].tracked_in(s.dtype)) variables.push_back(v[i].attach_grad());
    const autograd::Record record;
    const Tensor y = apply(v, s);
    Tensor dy = make_tensor(rounded(incoming(y, s), rounded_to), y.dtype(), s.device);
    const Tensors inputs = variables;
    variables.push_back(dy.attach_grad());
    Tensors dxs = autograd::grad({y}, inputs, {.head_grads = {dy}, .create_graph = true, .allow_unused = true});
    Tensors heads, us;
    for (size_t i = 0; i < dxs.size(); ++i) {
      if (!dxs[i].defined() || !dxs[i].requires_grad()) continue;
      heads.push_back(dxs[i]);
      // Whole numbers where the row is exact: then sums are, in whatever order a device takes them.
      const Input recipe = options_.exact ? input(dxs[i].shape()).integers(-2, 2) : input(dxs[i].shape()).range(-1, 1);
      const Array u = make_values(recipe, seed_for(row_.name + "#u" + std::to_string(i)));
      us.push_back(make_tensor(rounded(u, rounded_to), dxs[i].dtype(), s.device));
    }
    if (heads.empty()) return {};
    return arrays(autograd::grad(heads, variables, {.head_grads = us, .allow_unused = true}), variables);
  }

  // ---- layouts, zero sizes, dtypes, cuda

  DType common() const {
    const auto& list = options_.dtypes;
    return std::find(list.begin(), list.end(), DType::f32) != list.end() ? DType::f32 : list[0];
  }

  void layouts(Cell cell, Device device) {
    const size_t n = row_.inputs.size();
    for (int a = 1; a < arrangements; ++a) {
      const auto arranged = static_cast<Arrangement>(a);
      std::vector<bool> can(n);
      for (size_t i = 0; i < n; ++i) can[i] = row_.inputs[i].rearranged && permits(row_.inputs[i].shape, arranged);
      for (size_t one = 0; one <= n; ++one) {  // each alone, then all
        Setting s{.dtype = common(), .device = device, .arrangements = std::vector<Arrangement>(n, contiguous)};
        bool any = false;
        for (size_t i = 0; i < n; ++i)
          if (can[i] && (one == i || (one == n && n > 1))) s.arrangements[i] = arranged, any = true;
        if (!any) continue;
        value(cell, s);
        if (!plans(Cell::gradient)) continue;
        s.dtype = DType::f64;
        gradient(cell, s);
      }
      if (plans(Cell::gradient)) gradient(cell, {.device = device, .incoming = arranged});
    }
  }

  void zero_sizes(Cell cell, Device device) {
    for (const DType dtype : options_.dtypes) {
      const Setting s{.dtype = dtype, .device = device};
      value(cell, s);
      const bool tracked =
          std::any_of(row_.inputs.begin(), row_.inputs.end(), [&](const Input& x) { return x.tracked_in(dtype); });
      if (options_.no_gradient.empty() && tracked && is_floating(dtype)) gradient(cell, s);
    }
  }

  void dtypes() {
    for (size_t i = 0; i < options_.dtypes.size(); ++i) {
      const Setting s{.dtype = options_.dtypes[i]};
      if (i) value(Cell::dtypes, s);
      if (plans(Cell::gradient) && is_floating(s.dtype) && s.dtype != DType::f64) gradient(Cell::dtypes, s);
    }
  }

  void cuda(Device device) {
    if (plans(Cell::zero_sizes)) return zero_sizes(Cell::cuda, device);
    for (const DType dtype : options_.dtypes) {
      value(Cell::cuda, {.dtype = dtype, .device = device});
      if (plans(Cell::gradient) && is_floating(dtype)) gradient(Cell::cuda, {.dtype = dtype, .device = device});
    }
    if (plans(Cell::layouts)) layouts(Cell::cuda, device);
    if (!plans(Cell::second_gradient)) return;
    for (const DType dtype : {DType::f64, DType::f32})
      check(Cell::cuda, "second gradient, " + to_string(Setting{.dtype = dtype, .device = device}), [&] {
        const Arrays got = second_gradients({.dtype = dtype, .device = device}, dtype);
        const Arrays want = second_gradients({}, dtype);
        if (got.size() != want.size()) return std::string("tracked on one device only");
        return compare(got, want, dtype, 8);
      });
  }

  const Row& row_;
  const RowOptions& options_;
  Arrays values_;
  RowResult result_;
};

// ---- doctest

const char* running_case = "";

struct Place {
  const Op* op;
  const Row* row;
};
std::unordered_map<std::string, Place>& places() {
  static std::unordered_map<std::string, Place> map;
  return map;
}

}  // namespace

DType row_dtype() { return dtype_of_run; }

RowResult run_row(const Row& row) { return Run(row).all(); }

void set_running_case(const char* name) { running_case = name; }

static void run_running_case() {
  const Place& place = places().at(running_case);
  const RowResult result = run_row(*place.row);
  count_run(place.op->name, result);
  int compared = 0;
  for (const int n : result.compared) compared += n;
  CHECK_MESSAGE(result.findings.empty(), compared, " comparisons, seed ", test_seed());
  for (const Finding& finding : result.findings) {
    const std::string text = std::string(name_of(finding.cell)) + ": " + finding.text;
    ADD_FAIL_CHECK_AT(place.row->file.c_str(), place.row->line, text);
  }
}

void register_rows() {
  static const doctest::detail::TestSuite no_suite;
  for (const Op* op : all_ops()) {
    for (const Row& row : op->rows) {
      const bool here = !(simulated() || on_cuda_alone()) || row.plans[static_cast<int>(Cell::cuda)];
      if (!here) continue;
      if (!places().emplace(row.name, Place{op, &row}).second) fail("op table: two rows are named '", row.name, "'");
      const doctest::detail::TestCase test(&run_running_case, row.file.c_str(), static_cast<unsigned>(row.line),
                                           no_suite);
      doctest::detail::regTest(doctest::detail::TestCase(test) * row.name.c_str());
    }
  }
}

// ---- Errors

namespace {
// "…" stands for any text.
bool matches(std::string_view text, std::string_view pattern) {
  const size_t gap = pattern.find("…");
  if (gap == std::string_view::npos) return text == pattern;
  if (!text.starts_with(pattern.substr(0, gap))) return false;
  const std::string_view rest = pattern.substr(gap + std::string_view("…").size());
  for (size_t at = gap; at <= text.size(); ++at)
    if (matches(text.substr(at), rest)) return true;
  return false;
}
}  // namespace

std::string check_error(const std::string& text, const std::function<void()>& action,
                        bool (*is_type)(const std::exception&), const char* type) {
  try {
    action();
  } catch (const std::exception& e) {
    if (!is_type(e)) return std::string("threw ") + typeid(e).name() + ", expected " + type + "; its text: " + e.what();
    if (!matches(e.what(), text)) return std::string("the text is\n    ") + e.what() + "\n  expected\n    " + text;
    return "";
  }
  return std::string("nothing was thrown, expected ") + type + ": " + text;
}

}  // namespace weft::test
