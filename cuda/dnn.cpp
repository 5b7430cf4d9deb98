#include "weft/cuda/dnn.h"

#include <atomic>
#include <charconv>

#include "weft/cuda/dnn_trial.h"
#include "weft/cuda/memory_lock.h"
#include "weft/cuda/options.h"
#include "weft/tensor/error.h"
#include "weft/tensor/tuning.h"

namespace weft::cuda {

namespace {

constinit std::atomic<bool> plain{false};

// Cards that are alike in this choose alike.
std::string kind_of_card(int index) {
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, index), "cuDNN: the card's name");
  return detail::concat(properties.name, ", ", properties.multiProcessorCount, " multiprocessors");
}

// What a plan is chosen for, and the words that tell which: its place in the ranking first.
std::string question_of(const Convolution& key, const std::string& card) {
  return detail::concat("cuDNN ", cudnnGetVersion(), "\t", card, "\t", to_string(key), ", ", key.alignment,
                        key.nondeterministic ? " bytes, in any order" : " bytes");
}
std::string answer_of(const ConvPlan& plan) {
  return detail::concat(plan.position, " engine ", plan.engine, plan.notes.empty() ? "" : " ", plan.notes);
}

}  // namespace

bool plain_convolution() noexcept { return plain.load(std::memory_order_relaxed); }
void set_plain_convolution(bool value) noexcept { plain.store(value, std::memory_order_relaxed); }

Dnn::Dnn(int index) : card_(kind_of_card(index)) {
  const MemoryScope memory(index);
  check(cudnnCreate(handle_.out()), "cuDNN: create");
}

const FoundPlan& Dnn::plan(const Convolution& key, const ConvOperands& operands, Stream stream) {
  if (const uint64_t epoch = tuning_epoch(); epoch != epoch_) {
    forget();
    epoch_ = epoch;
  }
  if (const auto known = plans_.find(key); known != plans_.end()) return known->second;
  if (plans_.size() >= max_plans) forget();
  return plans_.emplace(key, search(key, PlanTrial(key, handle(), operands, stream))).first->second;
}

void Dnn::forget() {
  if (plans_.empty()) return;
  // A plan may own a kernel that is still running.
  const QuietScope quiet;
  check(cudaDeviceSynchronize(), "cuDNN: forget plans");
  plans_.clear();
}

// The plan that an answer names, if cuDNN has it.
FoundPlan Dnn::chosen(const Convolution& key, const std::string& answer, const PlanTrial& trial) {
  int position = -1;
  std::from_chars(answer.data(), answer.data() + answer.size(), position);
  if (position < 0) return {};
  FoundPlans found = find_plans(key, PlanTarget(handle()), 1, position);
  if (found.plans.empty() || answer_of(found.plans.front()) != answer) return {};
  if (!trial.keeps_nan(found.plans.front())) return {};
  return {.plan = std::move(found.plans.front()), .why = {}};
}

FoundPlan Dnn::search(const Convolution& key, const PlanTrial& trial) {
  const std::string question = question_of(key, card_);
  if (FoundPlan known = chosen(key, tuned_answer(question), trial); known.plan) return known;
  std::optional<TuningQuestion> turn;
  const int most = timed_plans();
  if (most > 1) {
    turn.emplace(question);
    if (FoundPlan known = chosen(key, turn->answer(), trial); known.plan) return known;
  }
  FoundPlans found = find_plans(key, PlanTarget(handle()), most);
  if (found.plans.empty()) return {.plan = {}, .why = std::move(found.why)};
  ConvPlan& best = found.plans[trial.fastest(found.plans)];
  if (!trial.keeps_nan(best)) return {.plan = {}, .why = "cuDNN's plan makes 0 of NaN"};
  if (turn) turn->settle(answer_of(best));
  return {.plan = std::move(best), .why = {}};
}

}  // namespace weft::cuda
