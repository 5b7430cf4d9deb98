// What a save leaves behind when it is killed, or when the disk fails, at any of its system calls.
#include "weft/nn/atomic_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "tests/support/child.h"
#include "tests/support/temp_folder.h"
#include "weft/nn/safetensors.h"

using namespace weft;
using namespace weft::nn;

namespace {

// Every system call of a save goes through here; the one numbered `at` behaves as `fault` says.
enum class Fault { none, error, killed, half_written_then_killed };
struct Plan {
  Fault fault = Fault::none;
  int at = 0;
  int error = EIO;
  size_t most = ~size_t{0};  // bytes that one write takes
  int calls = 0;
} plan;
nn::detail::FileCalls real;

bool fails() {
  if (plan.calls++ != plan.at || plan.fault == Fault::none) return false;
  if (plan.fault == Fault::error) {
    errno = plan.error;
    return true;
  }
  if (plan.fault == Fault::killed) ::kill(::getpid(), SIGKILL);
  return false;
}

void install() {
  real = nn::detail::file_calls();
  nn::detail::file_calls() = {
      [](const char* path, int flags, unsigned mode) { return fails() ? -1 : real.open(path, flags, mode); },
      [](int file, const void* data, size_t bytes, int64_t offset) -> long {
        const bool last = plan.fault == Fault::half_written_then_killed && plan.calls == plan.at;
        if (fails()) return -1;
        const long n = real.write_at(file, data, std::min(last ? bytes / 2 : bytes, plan.most), offset);
        if (last) ::kill(::getpid(), SIGKILL);
        return n;
      },
      [](int file) { return fails() ? -1 : real.flush(file); },
      [](int file) { return fails() ? -1 : real.close(file); },
      [](const char* from, const char* to) { return fails() ? -1 : real.rename(from, to); },
      [](const char* path) { return fails() ? -1 : real.remove(path); },
  };
}

struct Installed {
  explicit Installed(const Plan& next) {
    plan = next;
    install();
  }
  ~Installed() { nn::detail::file_calls() = real; }
};

NamedTensors tensors_of(float value) {
  return {{"a", full({40}, value)}, {"b", full({3}, value, {.dtype = DType::f64})}};
}

// The value that the file at `path` holds everywhere; it must be whole.
float value_in(const std::string& path) {
  const SafetensorsFile file(path);
  CHECK(file.verify());
  const auto a = file.load("a").to_vector<float>(), b = file.load("b").to_vector<float>();
  for (const float x : a) CHECK(x == a[0]);
  for (const float x : b) CHECK(x == a[0]);
  return a[0];
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

}  // namespace

CHILD(save_with_a_fault) {
  plan.fault = variable("WEFT_TEST_HALF") == "1" ? Fault::half_written_then_killed : Fault::killed;
  plan.at = std::atoi(variable("WEFT_TEST_CALL").c_str());
  install();
  write_safetensors(variable("WEFT_TEST_PATH"), tensors_of(2));
  std::exit(plan.calls > plan.at ? 0 : 7);
}

// Ends by _Exit: LeakSanitizer cannot look into a process that changed its user.
CHILD(save_into_a_read_only_folder) {
  if (::geteuid() == 0 && ::seteuid(65534) != 0) std::_Exit(2);
  try {
    write_safetensors(variable("WEFT_TEST_PATH"), tensors_of(2));
  } catch (const CheckpointError& e) {
    std::_Exit(std::string(e.what()).find("cannot be created: Permission denied") != std::string::npos ? 3 : 4);
  }
}

TEST_SUITE("nn/atomic_file") {
  TEST_CASE("killed at every system call of a save: the path holds the old or the new file, whole") {
    const test::TempFolder folder;
    const std::string path = folder / "weights";
    write_safetensors(path, tensors_of(1));
    ::setenv("WEFT_TEST_PATH", path.c_str(), 1);
    int kills = 0, old_files = 0;
    for (const char* half : {"0", "1"}) {
      ::setenv("WEFT_TEST_HALF", half, 1);
      for (int call = 0;; ++call) {
        ::setenv("WEFT_TEST_CALL", std::to_string(call).c_str(), 1);
        const int status = test::run_child("save_with_a_fault").status;
        const float value = value_in(path);
        CHECK((value == 1 || value == 2));
        if (status == 7) break;  // there are no more calls
        if (status == 128 + SIGKILL) {
          ++kills;
          old_files += value == 1;
        } else {
          CHECK(status == 0);  // half a write where there was no write
        }
        write_safetensors(path, tensors_of(1));
        REQUIRE(call < 100);
      }
    }
    CHECK(kills >= 15);
    CHECK(old_files >= 12);
    CHECK(old_files < kills);
    for (const char* name : {"WEFT_TEST_PATH", "WEFT_TEST_HALF", "WEFT_TEST_CALL"}) ::unsetenv(name);
  }

  TEST_CASE("every call fails in turn: an error with the reason, the old file, nothing left over") {
    const test::TempFolder folder;
    const std::string path = folder / "weights";
    int fired = 0;
    for (const int error : {ENOSPC, EIO, EROFS}) {
      write_safetensors(path, tensors_of(1));
      for (int call = 0; call < 100; ++call) {
        const Installed faults({.fault = Fault::error, .at = call, .error = error});
        bool threw = false;
        try {
          write_safetensors(path, tensors_of(2));
        } catch (const CheckpointError& e) {
          threw = true;
          CHECK(std::string(e.what()).find(std::strerror(error)) != std::string::npos);
        }
        if (plan.calls <= call) break;
        ++fired;
        CHECK(value_in(path) == (threw ? 1 : 2));  // after the renaming nothing can be lost
        CHECK(folder.files() == std::vector<std::string>{"weights"});
        if (!threw) {
          nn::detail::file_calls() = real;
          write_safetensors(path, tensors_of(1));
          install();
        }
      }
    }
    MESSAGE("faults fired: " << fired);
    CHECK(fired >= 3 * 10);
  }

  TEST_CASE("short writes and interrupted ones are continued") {
    const test::TempFolder folder;
    {
      const Installed faults({.fault = Fault::error, .at = 2, .error = EINTR, .most = 3});
      write_safetensors(folder / "weights", tensors_of(5));
    }
    CHECK(value_in(folder / "weights") == 5);
  }

  TEST_CASE("folders that are read-only, absent, or files") {
    const test::TempFolder folder;
    ::setenv("WEFT_TEST_PATH", (folder / "weights").c_str(), 1);
    std::filesystem::permissions(folder.path(), std::filesystem::perms(0555));
    CHECK(test::run_child("save_into_a_read_only_folder").status == 3);
    std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
    ::unsetenv("WEFT_TEST_PATH");
    CHECK(folder.files().empty());
    CHECK_THROWS_AS(write_safetensors(folder / "none/weights", tensors_of(1)), CheckpointError);
    test::write_file(folder / "file", "x");
    CHECK_THROWS_AS(write_safetensors(folder / "file/weights", tensors_of(1)), CheckpointError);
    CHECK(folder.files() == std::vector<std::string>{"file"});
  }

  TEST_CASE("two writers of one path: the last one wins, each file is whole") {
    const test::TempFolder folder;
    {
      AtomicFile first(folder / "a"), second(folder / "a");
      first.write("first", 5);
      second.write("second", 6);
      second.commit();
      CHECK(test::read_file(folder / "a") == "second");
      first.commit();
      AtomicFile dropped(folder / "a");
      dropped.write("dropped", 7);
    }
    CHECK(test::read_file(folder / "a") == "first");
    CHECK(folder.files() == std::vector<std::string>{"a"});
  }
}
