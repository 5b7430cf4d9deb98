#include "tests/support/child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>

extern char** environ;

namespace weft::test {

namespace {

constexpr const char* variable = "WEFT_TEST_CHILD";

std::map<std::string, void (*)()>& functions() {
  static std::map<std::string, void (*)()> map;
  return map;
}

// Reads until the other end is closed or the time is up; false then.
bool read_all(int fd, std::string& text, double seconds) {
  using clock = std::chrono::steady_clock;
  const auto end = clock::now() + std::chrono::duration<double>(seconds);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - clock::now()).count();
    pollfd waiting{fd, POLLIN, 0};
    if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) == 0) return false;
    char buffer[4096];
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) return true;
    text.append(buffer, static_cast<size_t>(n));
  }
}

ChildResult run(const std::vector<std::string>& arguments, const std::string& child, double seconds) {
  std::vector<std::string> environment;
  for (char** e = environ; *e; ++e)
    if (std::strncmp(*e, variable, std::strlen(variable)) != 0) environment.push_back(*e);
  if (!child.empty()) environment.push_back(std::string(variable) + "=" + child);
  std::vector<char*> argv{const_cast<char*>("weft_tests")}, envp;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  for (const std::string& e : environment) envp.push_back(const_cast<char*>(e.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  ChildResult result;
  if (!failed) {
    const bool ended = read_all(ends[0], result.output, seconds);
    if (!ended) kill(pid, SIGKILL);
    int status = 0;
    waitpid(pid, &status, 0);
    if (ended) result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  close(ends[0]);
  return result;
}

}  // namespace

ChildRegistration::ChildRegistration(const char* name, void (*function)()) { functions()[name] = function; }

ChildResult run_child(const std::string& name, double seconds) {
  if (!functions().count(name)) return {};
  return run({}, name, seconds);
}

ChildResult run_self(const std::vector<std::string>& arguments, double seconds) { return run(arguments, "", seconds); }

bool child_main(int& status) {
  const char* name = std::getenv(variable);
  if (!name || !functions().count(name)) return false;
  functions()[name]();
  status = 0;
  return true;
}

}  // namespace weft::test
