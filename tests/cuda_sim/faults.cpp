// The fault plan: what is injected, and how often it fired.
#include <random>

#include "lock.h"
#include "sim.h"

namespace weft::sim {
namespace {

struct Planned {
  Fault fault;
  int64_t seen = 0;  // consultations that matched
};

constexpr int kinds = static_cast<int>(FaultKind::device_lost) + 1;
std::vector<Planned> plan;
int64_t asked_count[kinds], fired_count[kinds];
std::mt19937_64 random_numbers;

bool fires(Planned& planned) {
  const int64_t index = planned.seen++;
  if (planned.fault.probability > 0) {
    return std::bernoulli_distribution(planned.fault.probability)(random_numbers);
  }
  return index == planned.fault.nth;
}

}  // namespace

void inject(const Fault& fault) {
  Lock lock;
  if (plan.empty()) random_numbers.seed(schedule().seed);
  plan.push_back({fault});
}

void clear_faults() {
  Lock lock;
  plan.clear();
  for (int kind = 0; kind < kinds; ++kind) asked_count[kind] = fired_count[kind] = 0;
}

int64_t consulted(FaultKind kind) {
  Lock lock;
  return asked_count[static_cast<int>(kind)];
}

int64_t fired(FaultKind kind) {
  Lock lock;
  return fired_count[static_cast<int>(kind)];
}

int consult_fault(FaultKind kind, int device) {
  Lock lock;
  ++asked_count[static_cast<int>(kind)];
  int code = 0;
  for (Planned& planned : plan) {
    const bool matches =
        planned.fault.kind == kind && (planned.fault.device == any_device || planned.fault.device == device);
    if (matches && fires(planned) && code == 0) code = planned.fault.code;
  }
  if (code != 0) ++fired_count[static_cast<int>(kind)];
  return code;
}

}  // namespace weft::sim
