#include "weft/tensor/tuning.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "weft/tensor/error.h"

using namespace weft;

TEST_CASE("tuning: choices are lines of text; what is no line is passed over, the last of two holds") {
  load_tuned_choices("a card\ta thing\t3 one\nno tab\n\tno question\nno answer\t\n\nlast\t4");
  CHECK(tuned_answer("a card\ta thing") == "3 one");
  CHECK(tuned_answer("last") == "4");
  CHECK(tuned_answer("no tab") == "");
  CHECK(tuned_answer("") == "");
  CHECK(tuned_answer("no answer") == "");
  CHECK(tuned_choices().find("a card\ta thing\t3 one\n") != std::string::npos);
  const std::string text = tuned_choices();
  load_tuned_choices("last\t5\nlast\t6\n");
  CHECK(tuned_answer("last") == "6");
  load_tuned_choices(text);
  CHECK(tuned_choices() == text);
}

TEST_CASE("tuning: what was asked is asked again after the option, a load or another answer, not after a first one") {
  uint64_t before = tuning_epoch();
  const auto changed = [&] { return std::exchange(before, tuning_epoch()) != before; };
  CHECK(timed_plans() == 1);
  set_timed_plans(1);
  CHECK_FALSE(changed());
  set_timed_plans(3);
  CHECK(timed_plans() == 3);
  CHECK(changed());
  set_timed_plans(1);
  CHECK(changed());
  CHECK_THROWS_WITH_AS(set_timed_plans(0), "set_timed_plans: 0 plans; 1 is to time none", Error);
  TuningQuestion question("which?");
  CHECK(question.answer() == "");
  question.settle("this");
  CHECK_FALSE(changed());
  question.settle("this");
  CHECK_FALSE(changed());
  question.settle("that");
  CHECK(changed());
  CHECK(question.answer() == "that");
  load_tuned_choices("");
  CHECK(changed());
}

TEST_CASE("tuning: threads with one question wait for the first that asks; if it fails, the next one tries") {
  std::atomic<int> at_work = 0, met = 0, tries = 0;
  std::vector<std::string> found(6);
  std::vector<std::thread> threads;
  for (std::string& answer : found)
    threads.emplace_back([&] {
      for (int attempt = 0; attempt < 2 && answer.empty(); ++attempt) try {
          TuningQuestion question("how?");
          met += at_work++;
          if (question.answer().empty()) {
            const int number = tries++;
            std::this_thread::yield();
            --at_work;
            if (number == 0) throw std::runtime_error("out of luck");
            ++at_work;
            question.settle("so " + std::to_string(number));
          }
          answer = question.answer();
          --at_work;
        } catch (const std::runtime_error&) {
        }
    });
  {
    const TuningQuestion other("another?");  // is not waited for
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(tries == 2);
  CHECK(met == 0);
  for (const std::string& answer : found) CHECK(answer == "so 1");
}
