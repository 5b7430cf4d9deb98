#include "weft/tensor/tuning.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string_view>

#include "weft/tensor/error.h"

namespace weft {

namespace {

constinit std::atomic<bool> tf32{false};
constinit std::atomic<bool> nondeterministic{false};
constinit std::atomic<int> plans{1};
constinit std::atomic<uint64_t> epoch{0};

struct Choices {
  std::mutex mutex;
  std::condition_variable settled;
  std::map<std::string, std::string> answers;  // by question
  std::set<std::string> asked;                 // at which a thread is at work
};

// Never destroyed: threads may end after static destructors began.
Choices& choices() {
  static Choices& all = *new Choices;
  return all;
}

// The mutex is held.
void keep(std::string question, std::string answer) {
  std::string& kept = choices().answers[std::move(question)];
  if (!kept.empty() && kept != answer) epoch.fetch_add(1);
  kept = std::move(answer);
}

}  // namespace

bool allow_tf32() noexcept { return tf32.load(std::memory_order_relaxed); }
void set_allow_tf32(bool allow) noexcept { tf32.store(allow, std::memory_order_relaxed); }
bool nondeterministic_convolution() noexcept { return nondeterministic.load(std::memory_order_relaxed); }
void set_nondeterministic_convolution(bool allow) noexcept { nondeterministic.store(allow, std::memory_order_relaxed); }

void set_timed_plans(int count) {
  WEFT_CHECK(Error, count >= 1, "set_timed_plans: ", count, " plans; 1 is to time none");
  if (plans.exchange(count) != count) epoch.fetch_add(1);
}

int timed_plans() noexcept { return plans.load(std::memory_order_relaxed); }

std::string tuned_choices() {
  std::string text;
  const std::lock_guard lock(choices().mutex);
  for (const auto& [question, answer] : choices().answers)
    text.append(question).append("\t").append(answer).append("\n");
  return text;
}

void load_tuned_choices(const std::string& text) {
  const std::lock_guard lock(choices().mutex);
  epoch.fetch_add(1);  // plans that nobody chose may have been made by now
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t tab = line.rfind('\t');
    if (tab != std::string_view::npos && tab > 0 && tab + 1 < line.size())
      keep(std::string(line.substr(0, tab)), std::string(line.substr(tab + 1)));
  }
}

uint64_t tuning_epoch() noexcept { return epoch.load(); }

std::string tuned_answer(const std::string& question) {
  const std::lock_guard lock(choices().mutex);
  const auto found = choices().answers.find(question);
  return found == choices().answers.end() ? "" : found->second;
}

TuningQuestion::TuningQuestion(std::string text) : text_(std::move(text)) {
  std::unique_lock lock(choices().mutex);
  choices().settled.wait(lock, [&] { return choices().asked.insert(text_).second; });
}

TuningQuestion::~TuningQuestion() {
  {
    const std::lock_guard lock(choices().mutex);
    choices().asked.erase(text_);
  }
  choices().settled.notify_all();
}

void TuningQuestion::settle(const std::string& answer) {
  const std::lock_guard lock(choices().mutex);
  keep(text_, answer);
}

}  // namespace weft
