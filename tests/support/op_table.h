// The op table: every operation's cases, and what is tested about each. A test file adds rows:
//
//   OP_TABLE(softmax) {                              // the stem of tensor/ops/softmax.h; runs once, before the tests
//     table.op("softmax")                            // the name users call
//         .row("rows", {input({3, 5})}, [](const Tensors& v) { return softmax(v[0], 1); },
//              [](const Arrays& v) { return naive_softmax(v[0], 1); })
//         .row("no rows", {input({0, 5})}, …)        // a row with an input of no elements is a test of zero sizes
//         .row("counted", {input({4, 4}).integers()}, …, …, {.exact = true, .no_gradient = "…"})
//         .error<IndexError>("axis", "softmax: axis 3 …", [] { softmax(ones({2, 2}), 3); })   // … stands for any text
//         .none(Cell::second_gradient, "why the operation has none of it");
//   }
//
// One row becomes one doctest case, `op/softmax/rows`, and fills these cells:
//   value            f64 and every other dtype of the row against the naive reference on host values
//   gradient         gradcheck in f64
//   second gradient  gradgradcheck in f64
//   layouts          each input, and all at once, transposed, channels-last, an offset slice, of stride 2, expanded:
//   value,
//                    and gradient, are those of contiguous inputs; the incoming gradient likewise
//   zero sizes       rows with an input of no elements: value and gradients by shape
//   dtypes           value and gradient in each dtype of the row
//   errors           type and text
//   cuda             on a CUDA device, real or simulated: values, gradients, second gradients, layouts equal the CPU's
// A planned cell that compared nothing fails. An operation with an empty cell and no printed reason fails, and so does
// a header in tensor/ops/ without a table. In the simulator only the cuda cells run: keep shapes below some 4,096
// elements.
#pragma once

#include <functional>
#include <optional>
#include <source_location>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "tests/support/array.h"
#include "weft/tensor/error.h"

namespace weft::test {

enum class Cell : uint8_t { value, gradient, second_gradient, layouts, zero_sizes, dtypes, errors, cuda };
inline constexpr int cells = 8;
const char* name_of(Cell cell);

/// From inputs to the operation's result. A pure function; further tensors it needs must be made on current_device(),
/// which is the device of the inputs, and in row_dtype().
using OpFunction = std::function<Tensor(const Tensors&)>;
/// The same in double on the host, from values already rounded to the run's dtype. None: the result must be all zero
/// (for identities such as matmul(a, eye) - a).
using Reference = std::function<Array(const Arrays&)>;

/// The dtype of the run in progress.
DType row_dtype();

inline const std::vector<DType> floating_dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16};
inline const std::vector<DType> all_dtypes = {DType::f64, DType::f32, DType::f16, DType::bf16,
                                              DType::i64, DType::i32, DType::u8,  DType::boolean};

struct RowOptions {
  std::vector<DType> dtypes = floating_dtypes;
  bool exact = false;                ///< values must be equal, gradients too: for inputs of whole numbers
  std::optional<DType> result = {};  ///< dtype of the result; else the run's, if an input has that
  double slack = 1;                  ///< tolerances of values times this, where the operation adds up many terms
  double gradient_slack = 1;         ///< the same for gradients in other dtypes, layouts and devices
  // Why the row leaves a cell empty.
  std::string no_gradient = {};  ///< and no second one
  std::string no_second_gradient = {};
  std::string no_layouts = {};
  std::string no_cuda = {};
};

/// Gives an expected value: a reference that ignores its inputs.
Reference expected(const Shape& shape, std::vector<double> values);

struct Row {
  std::string name;  ///< "op/softmax/rows"
  std::vector<Input> inputs;
  OpFunction function;
  Reference reference;
  RowOptions options;
  std::function<std::string()> error;  ///< of an error row: runs it, says what is wrong
  bool plans[cells] = {};
  std::string reasons[cells] = {};
  std::string file;
  int line = 0;
};

class Op {
 public:
  using Where = std::source_location;
  Op(std::string of_group, std::string op_name) : group(std::move(of_group)), name(std::move(op_name)) {}

  Op& row(const std::string& row_name, std::vector<Input> inputs, OpFunction function, Reference reference,
          RowOptions options = {}, Where where = Where::current());
  /// `action` must throw exactly E with this text, in which "…" stands for any text.
  template <class E>
  Op& error(const std::string& row_name, const std::string& text, std::function<void()> action,
            Where where = Where::current());
  /// Why the operation has no row that fills the cell.
  Op& none(Cell cell, const std::string& reason);

  std::string group, name;
  std::vector<Row> rows;
  std::string reasons[cells];

 private:
  Op& add_error(const std::string& row_name, std::function<std::string()> run, Where where);
};

class OpTable {
 public:
  explicit OpTable(std::string group) : group_(std::move(group)) {}
  /// An operation by its name; the same object when asked again.
  Op& op(const std::string& name);

 private:
  std::string group_;
};

/// All operations of all tables, in order of their names.
const std::vector<Op*>& all_ops();

struct OpTableRegistration {
  OpTableRegistration(const char* group, void (*fill)(OpTable&));
};

/// Empty if `action` throws E (exactly) with a text that matches; else what happened.
std::string check_error(const std::string& text, const std::function<void()>& action,
                        bool (*is_type)(const std::exception&), const char* type);
template <class E>
bool is_exactly(const std::exception& e) {
  return typeid(e) == typeid(E);
}
/// For test cases outside the table: CHECK(throws<ShapeError>("add: …", [&] { … }) == "").
template <class E>
std::string throws(const std::string& text, const std::function<void()>& action) {
  return check_error(text, action, &is_exactly<E>, typeid(E).name());
}

template <class E>
Op& Op::error(const std::string& row_name, const std::string& text, std::function<void()> action, Where where) {
  return add_error(
      row_name, [text, action = std::move(action)] { return throws<E>(text, action); }, where);
}

}  // namespace weft::test

#define OP_TABLE(stem)                                                                                            \
  static void weft_op_table_##stem(::weft::test::OpTable& table);                                                 \
  static const ::weft::test::OpTableRegistration weft_op_table_registration_##stem(#stem, &weft_op_table_##stem); \
  static void weft_op_table_##stem([[maybe_unused]] ::weft::test::OpTable& table)
