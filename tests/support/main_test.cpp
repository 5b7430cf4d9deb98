// The test program's main(): what must turn a run red does.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/support/child.h"
#include "tests/support/hooks.h"
#include "tests/support/op_table.h"
#include "weft/tensor/tensor.h"

using namespace weft;
using namespace weft::test;

namespace {
bool has(const ChildResult& result, const char* text) { return result.output.find(text) != std::string::npos; }
}  // namespace

TEST_CASE("main: leaves a storage behind" * doctest::skip()) { new Tensor(ones({3})); }
TEST_CASE("main: fails a check" * doctest::skip()) { CHECK(false); }
TEST_CASE("main: does nothing wrong" * doctest::skip()) { CHECK(ones({1}).item<float>() == 1); }

TEST_CASE("main: a filter that matches nothing fails") {
  const ChildResult result = run_self({"--test-case=no such case"});
  CHECK(result.status == 1);
  CHECK(has(result, "no test case matches"));
}

TEST_CASE("main: a case that passes, one that fails, one that leaks") {
  const ChildResult good = run_self({"--no-skip", "--test-case=main: does nothing wrong"});
  CHECK(good.status == 0);
  CHECK(has(good, "seed "));
  CHECK(run_self({"--no-skip", "--test-case=main: fails a check"}).status == 1);
  if (std::getenv("ASAN_OPTIONS") || std::getenv("UBSAN_OPTIONS")) return;  // the sanitizer would report it first
  const ChildResult leak = run_self({"--no-skip", "--test-case=main: leaves a storage behind"});
  CHECK(leak.status == 1);
  CHECK(has(leak, "1 storages are alive, 0 were before"));
}

TEST_CASE("main: WEFT_REQUIRE_CUDA turns absence into failure, and a skip is announced") {
  if (device_count(DeviceType::cuda) > 0) return;
  setenv("WEFT_REQUIRE_CUDA", "1", 1);
  const ChildResult required = run_self({"--no-skip", "--test-case=main: does nothing wrong"});
  unsetenv("WEFT_REQUIRE_CUDA");
  CHECK(required.status == 1);
  CHECK(has(required, "WEFT_REQUIRE_CUDA is 1, but cuda is not available"));
  const ChildResult skipped = run_self({"--test-case=event: a CPU stream waits*"});
  CHECK(skipped.status == 0);
  CHECK(has(skipped, "SKIPPED: 1 cases or cells that need CUDA (cuda is not available"));
}

CHILD(exits_with_three) { std::exit(3); }
CHILD(aborts) { std::abort(); }
CHILD(sleeps) { sleep(30); }

TEST_CASE("child: exit status, signal, time limit") {
  CHECK(run_child("exits_with_three").status == 3);
  CHECK(run_child("aborts").status == 128 + 6);
  CHECK(run_child("sleeps", 0.3).status == -1);
  CHECK(run_child("no such child").status == -1);
}
