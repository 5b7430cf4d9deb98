#include "weft/cuda/dnn_trial.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/cuda/workspace.h"
#include "weft/tensor/error.h"
#include "weft/tensor/group.h"
#include "weft/tensor/ops/fill.h"

namespace weft::cuda {

namespace {

// Waits for the stream.
double first_of(DType dtype, const void* data, Stream stream) {
  double value = 0;
  dispatch_floating(dtype, [&](auto tag) {
    typename decltype(tag)::type first;
    Backend& cuda = backend(DeviceType::cuda);
    cuda.copy(&first, Device(), data, stream.device, sizeof first, stream);
    cuda.synchronize(stream);
    value = static_cast<double>(first);
  });
  return value;
}

class TimedEvent {
 public:
  explicit TimedEvent(int index) : index_(index), event_(backend(DeviceType::cuda).create_event(index, true)) {}
  ~TimedEvent() { backend(DeviceType::cuda).destroy_event(event_, index_); }
  TimedEvent(const TimedEvent&) = delete;
  TimedEvent& operator=(const TimedEvent&) = delete;
  void* raw() const { return event_; }

 private:
  int index_;
  void* event_;
};

}  // namespace

bool PlanTrial::keeps_nan(const ConvPlan& plan) const {
  if (!key_.relu || !key_.bias) return true;
  const int64_t element = size_of(key_.dtype);
  const Workspace workspace(static_cast<size_t>(plan.workspace), stream_);
  const Workspace bias(static_cast<size_t>(key_.o * element), stream_);
  fill_kernel({element, key_.o, ~uint64_t{0}, bias.data(), nullptr}, stream_);  // a NaN of every type
  run_plan(plan, handle_, {operands_.x, operands_.w, operands_.y, bias.data()}, workspace.data());
  return std::isnan(first_of(key_.dtype, operands_.y, stream_));
}

double PlanTrial::shortest(const ConvPlan& plan) const {
  constexpr int rounds = 3, runs = 4;
  Backend& cuda = backend(DeviceType::cuda);
  const int index = stream_.device.index;
  const Workspace workspace(static_cast<size_t>(plan.workspace), stream_);
  const TimedEvent start(index), end(index);
  const auto run = [&] { run_plan(plan, handle_, operands_, workspace.data()); };
  run();  // the first loads its kernels
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; ++round) {
    cuda.record(start.raw(), stream_);
    for (int i = 0; i < runs; ++i) run();
    cuda.record(end.raw(), stream_);
    cuda.synchronize_event(end.raw(), index);
    best = std::min(best, cuda.elapsed_ms(start.raw(), end.raw(), index) / runs);
  }
  return best;
}

std::optional<double> PlanTrial::milliseconds(const ConvPlan& plan) const {
  try {
    return keeps_nan(plan) ? std::optional(shortest(plan)) : std::nullopt;
  } catch (const DeviceLost&) {
    throw;
  } catch (const IndexError&) {  // this and the next are of work before the trial, whose first wait this was
    throw;
  } catch (const CommError&) {
    throw;
  } catch (const Error&) {
    return {};
  }
}

size_t PlanTrial::fastest(const std::vector<ConvPlan>& plans) const {
  if (plans.size() == 1) return 0;
  size_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < plans.size(); ++i) {
    const double taken = milliseconds(plans[i]).value_or(least);
    if (taken < least) {
      best = i;
      least = taken;
    }
  }
  return best;
}

}  // namespace weft::cuda
