// The fault plan: what is injected, and how often it fired.
#include <numeric>
#include <random>
#include <stdexcept>

#include "lock.h"
#include "runtime/status.h"
#include "sim.h"

namespace weft::sim {
namespace {

struct Planned {
  Fault fault;
  int64_t seen = 0;  // consultations that matched
};

constexpr int kinds = static_cast<int>(FaultKind::nccl_abort) + 1;
std::vector<Planned> plan;
int64_t asked_count[kinds][max_devices], fired_count[kinds];
std::mt19937_64 random_numbers;

bool fires(Planned& planned) {
  const int64_t index = planned.seen++;
  if (planned.fault.probability > 0) {
    return std::bernoulli_distribution(planned.fault.probability)(random_numbers);
  }
  return index >= planned.fault.nth && index < planned.fault.nth + planned.fault.count;
}

}  // namespace

void inject(const Fault& fault) {
  if (fault.kind == FaultKind::release && !is_sticky(static_cast<cudaError_t>(fault.code)))
    throw std::invalid_argument("what gives something back fails only with a device that is lost");
  Lock lock;
  if (plan.empty()) random_numbers.seed(schedule().seed);
  plan.push_back({fault});
}

void clear_faults() {
  Lock lock;
  plan.clear();
  for (auto& counts : asked_count)
    for (int64_t& count : counts) count = 0;
  for (int64_t& count : fired_count) count = 0;
}

int64_t consulted(FaultKind kind, int device) {
  Lock lock;
  const auto& counts = asked_count[static_cast<int>(kind)];
  return device == any_device ? std::accumulate(std::begin(counts), std::end(counts), int64_t{0}) : counts[device];
}

int64_t fired(FaultKind kind) {
  Lock lock;
  return fired_count[static_cast<int>(kind)];
}

const char* name_of(FaultKind kind) {
  static constexpr const char* names[] = {"malloc",
                                          "host alloc",
                                          "launch",
                                          "copy",
                                          "event",
                                          "set-up",
                                          "choice of a device",
                                          "query",
                                          "wait",
                                          "release",
                                          "cublas",
                                          "set-up of cublas",
                                          "cudnn",
                                          "set-up of cudnn",
                                          "nccl",
                                          "device lost",
                                          "nccl's asynchronous errors",
                                          "nccl's lost peers",
                                          "nccl's slow peers",
                                          "nccl's aborts"};
  static_assert(std::size(names) == kinds);
  return names[static_cast<int>(kind)];
}

int consult_fault(FaultKind kind, int device) {
  Lock lock;
  ++asked_count[static_cast<int>(kind)][device];
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
