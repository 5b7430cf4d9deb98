// The table itself: rows with what they plan, what is missing, the printed matrix.
#include "tests/support/op_table.h"

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>

#include "tests/support/op_table_run.h"

namespace weft::test {

namespace {

using Fill = void (*)(OpTable&);

std::vector<std::pair<const char*, Fill>>& tables() {
  static std::vector<std::pair<const char*, Fill>> list;
  return list;
}

std::map<std::string, Op>& ops_by_name() {
  static std::map<std::string, Op> ops;
  return ops;
}

void plan(Row& row, Cell cell, bool wanted, const std::string& reason) {
  const int c = static_cast<int>(cell);
  row.plans[c] = wanted && reason.empty();
  row.reasons[c] = reason;
}

bool has_rank(const Row& row) {
  return std::any_of(row.inputs.begin(), row.inputs.end(),
                     [](const Input& x) { return x.rearranged && x.shape.rank() > 0; });
}

}  // namespace

const char* name_of(Cell cell) {
  static constexpr const char* names[cells] = {"value",      "gradient", "second gradient", "layouts",
                                               "zero sizes", "dtypes",   "errors",          "cuda"};
  return names[static_cast<int>(cell)];
}

Reference expected(const Shape& shape, std::vector<double> values) {
  return [y = Array(shape, std::move(values))](const Arrays&) { return y; };
}

OpTableRegistration::OpTableRegistration(const char* group, Fill fill) { tables().emplace_back(group, fill); }

Op& OpTable::op(const std::string& name) { return ops_by_name().try_emplace(name, group_, name).first->second; }

Op& Op::row(const std::string& row_name, std::vector<Input> inputs, OpFunction function, Reference reference,
            RowOptions options, Where where) {
  Row row{.name = "op/" + name + "/" + row_name,
          .inputs = std::move(inputs),
          .function = std::move(function),
          .reference = std::move(reference),
          .options = std::move(options),
          .error = {},
          .file = where.file_name(),
          .line = static_cast<int>(where.line())};
  const RowOptions& o = row.options;
  const bool empty =
      std::any_of(row.inputs.begin(), row.inputs.end(), [](const Input& x) { return numel_of(x.shape) == 0; });
  const bool tracked =
      std::any_of(row.inputs.begin(), row.inputs.end(), [](const Input& x) { return x.tracked_in(DType::f64); });
  plan(row, Cell::zero_sizes, empty, "");
  plan(row, Cell::value, !empty, "");
  plan(row, Cell::dtypes, !empty && o.dtypes.size() > 1, "");
  plan(row, Cell::gradient, !empty && tracked, o.no_gradient);
  plan(row, Cell::second_gradient, !empty && tracked, o.no_gradient.empty() ? o.no_second_gradient : o.no_gradient);
  plan(row, Cell::layouts, !empty && has_rank(row), o.no_layouts);
  plan(row, Cell::cuda, true, o.no_cuda);
  rows.push_back(std::move(row));
  return *this;
}

Op& Op::add_error(const std::string& row_name, std::function<std::string()> run, Where where) {
  Row row{.name = "op/" + name + "/error " + row_name,
          .inputs = {},
          .function = {},
          .reference = {},
          .options = {},
          .error = std::move(run),
          .file = where.file_name(),
          .line = static_cast<int>(where.line())};
  plan(row, Cell::errors, true, "");
  rows.push_back(std::move(row));
  return *this;
}

Op& Op::none(Cell cell, const std::string& reason) {
  reasons[static_cast<int>(cell)] = reason;
  return *this;
}

const std::vector<Op*>& all_ops() {
  static const std::vector<Op*> list = [] {
    for (const auto& [group, fill] : tables()) {
      OpTable table(group);
      fill(table);
    }
    std::vector<Op*> ops;
    for (auto& [name, op] : ops_by_name()) ops.push_back(&op);
    return ops;
  }();
  return list;
}

// ---- What is missing
// -------------------------------------------------------------------------------------------------

namespace {

int rows_with(const Op& op, int cell) {
  return static_cast<int>(
      std::count_if(op.rows.begin(), op.rows.end(), [&](const Row& row) { return row.plans[cell]; }));
}

std::string reason_of(const Op& op, int cell) {
  if (!op.reasons[cell].empty()) return op.reasons[cell];
  for (const Row& row : op.rows)
    if (!row.reasons[cell].empty()) return row.reasons[cell];
  return "";
}

using CellText = std::function<std::string(const Op&, int)>;

std::string matrix(const std::vector<Op*>& ops, const CellText& cell_text) {
  size_t width = 9;
  for (const Op* op : ops) width = std::max(width, op->name.size());
  auto padded = [](std::string text, size_t to) { return text.append(to > text.size() ? to - text.size() : 0, ' '); };
  std::string text = padded("operation", width + 2);
  for (int c = 0; c < cells; ++c) text += padded(name_of(static_cast<Cell>(c)), 17);
  std::string reasons;
  for (const Op* op : ops) {
    text += "\n" + padded(op->name, width + 2);
    for (int c = 0; c < cells; ++c) {
      text += padded(cell_text(*op, c), 17);
      if (!rows_with(*op, c) && !reason_of(*op, c).empty())
        reasons += "\n  " + op->name + ", no " + name_of(static_cast<Cell>(c)) + ": " + reason_of(*op, c);
    }
  }
  return text + (reasons.empty() ? "" : "\nempty cells:" + reasons) + "\n";
}

std::map<std::string, std::array<int, cells>>& runs() {
  static std::map<std::string, std::array<int, cells>> counts;
  return counts;
}
int64_t rows_run = 0;

}  // namespace

std::vector<std::string> missing(const std::vector<Op*>& ops, const std::vector<std::string>& stems,
                                 const std::vector<std::string>& names) {
  std::vector<std::string> list;
  for (const Op* op : ops)
    for (int c = 0; c < cells; ++c)
      if (!rows_with(*op, c) && reason_of(*op, c).empty())
        list.push_back(op->name + ": no row fills '" + name_of(static_cast<Cell>(c)) + "', and no reason is given");
  auto any = [&](auto matches) {
    return std::any_of(ops.begin(), ops.end(), [&](const Op* op) { return matches(*op); });
  };
  for (const std::string& stem : stems)
    if (!any([&](const Op& op) { return op.group == stem; }))
      list.push_back("tensor/ops/" + stem + ".h: no OP_TABLE(" + stem + ")");
  for (const std::string& name : names)
    if (!any([&](const Op& op) { return op.name == name; }))
      list.push_back(name + ": a recorded function without a row");
  return list;
}

std::string matrix_of_plans(const std::vector<Op*>& ops) {
  return matrix(ops, [](const Op& op, int c) {
    const int n = rows_with(op, c);
    return n ? std::to_string(n) : reason_of(op, c).empty() ? "MISSING" : "-";
  });
}

std::string matrix_of_runs() {
  std::vector<Op*> ran;
  for (Op* op : all_ops())
    if (runs().count(op->name)) ran.push_back(op);
  if (ran.empty()) return "";
  int64_t comparisons = 0;
  for (const auto& [op, counts] : runs()) comparisons += std::accumulate(counts.begin(), counts.end(), int64_t{0});
  return "op table: " + std::to_string(rows_run) + " rows, " + std::to_string(comparisons) +
         " comparisons, by operation x cell:\n" + matrix(ran, [](const Op& op, int c) {
           const int n = runs()[op.name][static_cast<size_t>(c)];
           return n ? std::to_string(n) : rows_with(op, c) ? "not run" : "-";
         });
}

void count_run(const std::string& op, const RowResult& result) {
  ++rows_run;
  auto& counts = runs()[op];
  for (size_t c = 0; c < cells; ++c) counts[c] += result.compared[c];
}

}  // namespace weft::test
