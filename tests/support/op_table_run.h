// How rows of the op table are run and counted. For main() and the tests of the table itself.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "tests/support/op_table.h"

namespace weft::test {

/// One finding of a row: the cell and what is wrong.
struct Finding {
  Cell cell;
  std::string text;
};

struct RowResult {
  std::array<int, cells> compared{};  ///< comparisons made, per cell
  std::vector<Finding> findings;
};

/// Runs the planned cells of a row on this machine. In a simulator's program, and on_cuda_alone, only cuda.
RowResult run_row(const Row& row);
/// Adds to the counts that matrix_of_runs() prints.
void count_run(const std::string& op, const RowResult& result);

/// Turns the rows of all tables into doctest cases. Call once, before the tests run.
void register_rows();
/// Says which doctest case runs now; the case of a row looks its row up by it.
void set_running_case(const char* name);
/// The matrix operation x cell with the comparisons made so far, and the reasons of empty cells; empty if no row ran.
std::string matrix_of_runs();

/// What is missing in the tables: an operation's cell that is empty without a reason, and headers (stems of tensor/ops,
/// names of recorded functions) without an operation.
std::vector<std::string> missing(const std::vector<Op*>& ops, const std::vector<std::string>& stems,
                                 const std::vector<std::string>& names);
/// The matrix operation x cell with the rows that plan it.
std::string matrix_of_plans(const std::vector<Op*>& ops);

}  // namespace weft::test
