#include "tests/bench/support/torch_peer.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace weft::bench {

struct TorchPeer::State {
  pid_t child = -1;
  FILE* to = nullptr;
  FILE* from = nullptr;
  bool available = false;
  std::string version = "no PyTorch", why_not;

  std::string line() {
    char text[256];
    if (!from || !std::fgets(text, sizeof text, from)) return {};
    std::string s = text;
    while (!s.empty() && s.back() == '\n') s.pop_back();
    return s;
  }
};

TorchPeer::TorchPeer(int threads) : TorchPeer("support/torch_peer.py", {std::to_string(threads)}) {}

TorchPeer::TorchPeer(const std::string& script, const std::vector<std::string>& arguments)
    : state_(std::make_unique<State>()) {
  int requests[2], answers[2];
  if (pipe(requests) != 0 || pipe(answers) != 0) return;
  const char* python = std::getenv("WEFT_BENCH_PYTHON");
  const std::string interpreter = python ? python : "/usr/bin/python3";
  std::vector<std::string> command = {interpreter, WEFT_BENCH_DIR "/" + script};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::vector<char*> words;
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  state_->child = fork();
  if (state_->child == 0) {
    dup2(requests[0], 0), dup2(answers[1], 1);
    for (const int fd : {requests[0], requests[1], answers[0], answers[1]}) close(fd);
    execvp(interpreter.c_str(), words.data());
    _exit(127);
  }
  close(requests[0]), close(answers[1]);
  state_->to = fdopen(requests[1], "w");
  state_->from = fdopen(answers[0], "r");
  const std::string hello = state_->line();
  state_->available = hello.rfind("PyTorch", 0) == 0;
  if (state_->available) state_->version = hello;
}

TorchPeer::~TorchPeer() {
  if (state_->to) std::fclose(state_->to);
  if (state_->from) std::fclose(state_->from);
  if (state_->child > 0) waitpid(state_->child, nullptr, 0);
}

bool TorchPeer::available() const { return state_->available; }
const std::string& TorchPeer::version() const { return state_->version; }
const std::string& TorchPeer::why_not() const { return state_->why_not; }

double TorchPeer::seconds(const std::string& name, int times) { return ask(name, times); }

double TorchPeer::peak_memory() { return std::max(0.0, ask("peak memory", 1)); }

double TorchPeer::ask(const std::string& name, int times) {
  if (!available()) return -1;
  std::fprintf(state_->to, "%s\t%d\n", name.c_str(), times);
  std::fflush(state_->to);
  const std::string answer = state_->line();
  const size_t reason = answer.find('\t');
  state_->why_not = reason == std::string::npos ? "" : answer.substr(reason + 1);
  return answer.empty() ? -1 : std::atof(answer.c_str());
}

}  // namespace weft::bench
