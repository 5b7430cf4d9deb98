// Tests of whole processes: this program runs again as a child, with one function as its main, or with other arguments.
//
//   CHILD(leaves_early) { std::exit(3); }
//   TEST_CASE("…") { CHECK(run_child("leaves_early").status == 3); }
#pragma once

#include <string>
#include <vector>

namespace weft::test {

struct ChildResult {
  int status = -1;  ///< exit status; 128 + signal if a signal ended it; -1 if the time was up
  std::string output;
};

/// Runs the function named by CHILD in a process of its own; it returns 0 unless it exits otherwise.
ChildResult run_child(const std::string& name, double seconds = 60);
/// Runs this program with other arguments.
ChildResult run_self(const std::vector<std::string>& arguments, double seconds = 60);

/// For main(): true, and the exit status, if this process is such a child.
bool child_main(int& status);

struct ChildRegistration {
  ChildRegistration(const char* name, void (*function)());
};

}  // namespace weft::test

#define CHILD(name)                                                                                       \
  static void weft_child_##name();                                                                        \
  static const ::weft::test::ChildRegistration weft_child_registration_##name(#name, &weft_child_##name); \
  static void weft_child_##name()
