// parallel_apply, criterion_parallel_apply: one call per rank on the workers, with the caller's context.
#pragma once

#include <optional>
#include <tuple>
#include <type_traits>
#include <variant>

#include "weft/parallel/context.h"
#include "weft/parallel/workers.h"
#include "weft/tensor/group.h"
#include "weft/tensor/per_device.h"

namespace weft::parallel {

struct ApplyOptions {
  bool sync = false;  ///< also wait until the devices have done the work
  Seconds deadline = 300;
  /// For random operations: the first sample of each rank's share in the whole batch; empty: 0.
  std::vector<int64_t> first_samples = {};
  Order order = Order::fastest;  ///< of the sums of collectives
};

namespace detail {

/// What the workers of one call share with the caller: kept alive by whoever is last.
struct ApplyState {
  ApplyState(std::vector<Device> devices, std::vector<int> ranks_, const Context& context_,
             const ApplyOptions& options_);
  /// Runs f as rank position `i`: context, group and generator in force; the group learns how it ended.
  template <class F>
  void run(size_t i, int replica, F f) {
    const int position = static_cast<int>(i);
    try {
      const ContextGuard in_force(context_of(i));
      const RankGuard as({&group, position, replica});
      f();
      finish(i);
    } catch (...) {
      group.leave(position, std::current_exception());
      throw;
    }
    group.leave(position);
  }
  Context context_of(size_t i) const;
  void finish(size_t i);
  /// The caller's generator goes on where those of the ranks ended. Throws Error if they disagree.
  void merge_generators() const;

  std::vector<int> ranks;
  Context context;
  ApplyOptions options;
  Group group;
  std::vector<Generator> generators;
};

template <class Out>
using Stored = std::conditional_t<std::is_void_v<Out>, std::monostate, Out>;

}  // namespace detail

/// Calls f(i, rank) on the worker of each of `ranks` (ascending), i counting from 0; returns the results in that order.
/// f and what it refers to must stay alive until all workers answered, which an error by deadline does not wait for.
template <class F>
auto apply_on(Workers& workers, const std::vector<int>& ranks, F f, const ApplyOptions& options = {}) {
  using Out = detail::Stored<std::invoke_result_t<F&, size_t, int>>;
  std::vector<Device> devices;
  for (const int rank : ranks) devices.push_back(workers.ranks()[static_cast<size_t>(rank)]);
  struct State : detail::ApplyState {
    State(std::vector<Device> d, const std::vector<int>& r, const ApplyOptions& o, F function)
        : ApplyState(std::move(d), r, Context::capture(), o), f(std::move(function)), results(r.size()) {}
    F f;
    std::vector<std::optional<Out>> results;
  };
  auto state = std::make_shared<State>(devices, ranks, options, std::move(f));
  const auto position = [](const std::vector<int>& list, int rank) {
    return static_cast<size_t>(std::lower_bound(list.begin(), list.end(), rank) - list.begin());
  };
  workers.run_ranks(ranks,
                    [state, position, &workers](int rank) {
                      const size_t i = position(state->ranks, rank);
                      state->run(i, workers.replica(rank), [&] {
                        if constexpr (std::is_void_v<std::invoke_result_t<F&, size_t, int>>) {
                          state->f(i, rank);
                          state->results[i].emplace();
                        } else {
                          state->results[i].emplace(state->f(i, rank));
                        }
                      });
                    },
                    {.deadline = options.deadline});
  state->merge_generators();
  std::vector<Out> results;
  for (auto& result : state->results) results.push_back(std::move(*result));
  return PerDevice<Out>(std::move(devices), std::move(results));
}

/// module(inputs[i]…) on the device of entry i, for a callable and one tuple of arguments per device.
template <class F, class... Args>
auto parallel_apply(const F& module, const PerDevice<std::tuple<Args...>>& inputs, const ApplyOptions& options = {}) {
  const auto workers = Workers::acquire(inputs.devices());
  std::vector<int> ranks;
  for (int i = 0; i < inputs.size(); ++i) ranks.push_back(i);
  auto held = std::make_shared<PerDevice<std::tuple<Args...>>>(inputs);
  return apply_on(
      *workers, ranks, [held, &module](size_t i, int) { return std::apply(module, (*held)[static_cast<int>(i)]); },
      options);
}

/// criterion(outputs[i]…, targets[i]…) on the device of entry i. Throws DeviceError where the lists of devices differ.
template <class F, class... Outputs, class... Targets>
auto criterion_parallel_apply(const F& criterion, const PerDevice<std::tuple<Outputs...>>& outputs,
                              const PerDevice<std::tuple<Targets...>>& targets, const ApplyOptions& options = {}) {
  WEFT_CHECK(DeviceError, outputs.devices() == targets.devices(), "criterion_parallel_apply: outputs on ",
             outputs.size(), " devices, targets on ", targets.size(),
             "; split the targets over the devices of the outputs");
  std::vector<std::tuple<Outputs..., Targets...>> joined;
  for (int i = 0; i < outputs.size(); ++i) joined.push_back(std::tuple_cat(outputs[i], targets[i]));
  return parallel_apply(criterion, PerDevice<std::tuple<Outputs..., Targets...>>(outputs.devices(), std::move(joined)),
                        options);
}

}  // namespace weft::parallel
