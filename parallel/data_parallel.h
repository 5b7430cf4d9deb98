// DataParallelModel, DataParallelCriterion: one module on several devices, each with its share of the batch. Outputs
// stay where they are made and losses are computed there; the entries of the losses add up to the loss of the whole
// batch.
#pragma once

#include "weft/nn/loss_parts.h"
#include "weft/nn/module.h"
#include "weft/parallel/apply.h"
#include "weft/parallel/collectives.h"
#include "weft/parallel/ranks.h"
#include "weft/parallel/split.h"

namespace weft::parallel {

/// What the model and the criterion know of their devices.
class RankSet {
 public:
  /// `devices` empty: calls go through in the caller's thread.
  RankSet(const std::vector<Device>& devices, DataParallelOptions options);

  bool empty() const { return ranks_.empty(); }
  const std::vector<Device>& ranks() const { return ranks_; }
  const DataParallelOptions& options() const { return options_; }
  const std::shared_ptr<Workers>& workers() const { return workers_; }
  Splitter splitter() const;
  /// The ranks that got samples.
  std::vector<int> active(const std::vector<int64_t>& sizes) const;
  /// The ranks that a value with entries on `devices` belongs to. Throws DeviceError where these are not ranks of the
  /// set.
  std::vector<int> ranks_on(const std::vector<Device>& devices) const;
  /// A splitter that gives every entry of such a value the share its rank had.
  Splitter splitter_over(const std::vector<Device>& devices) const;
  /// Options of a call whose shares have these sizes; ranks without samples are left out.
  ApplyOptions apply_options(const std::vector<int64_t>& sizes) const;
  Order order() const { return options_.shares > 0 ? Order::tree : Order::fastest; }

 private:
  DataParallelOptions options_;
  std::vector<Device> ranks_;
  std::shared_ptr<Workers> workers_;
};

namespace detail {

template <class M, class... Args>
decltype(auto) call(const M& module, const Args&... args) {
  if constexpr (requires { module.forward(args...); })
    return module.forward(args...);
  else
    return module(args...);
}

/// Arguments of a call that goes through: markers give their tensor, everything else stays.
template <class T>
const T& unsplit(const T& value) {
  return value;
}
inline const Tensor& unsplit(const Split& leaf) { return leaf.tensor; }
inline const Tensor& unsplit(const Replicate& leaf) { return leaf.tensor; }
template <class T>
const T& unsplit(const PerDevice<T>& sharded) {
  return sharded[0];
}

/// Samples in an output: those of its first tensor.
inline int64_t batch_of(const Tensor& output, int64_t axis) { return output.rank() > 0 ? output.size(axis) : 1; }
template <class... T>
int64_t batch_of(const std::tuple<T...>& output, int64_t axis) {
  return batch_of(std::get<0>(output), axis);
}
template <class T>
int64_t batch_of(const std::vector<T>& output, int64_t axis) {
  return output.empty() ? 1 : batch_of(output.front(), axis);
}
template <class T, size_t N>
int64_t batch_of(const std::array<T, N>& output, int64_t axis) {
  return batch_of(output[0], axis);
}

/// `parts` restricted to the given ranks.
template <class T>
std::vector<T> pick(std::vector<T> parts, const std::vector<int>& ranks) {
  std::vector<T> picked;
  for (const int rank : ranks) picked.push_back(std::move(parts[static_cast<size_t>(rank)]));
  return picked;
}

}  // namespace detail

template <class M>
class DataParallelModel {
 public:
  /// Places the module's parameters on the devices; the module is referred to, not copied, and must outlive this
  /// object. `devices` empty: calls through, moves nothing. Throws DeviceError; see ranks_of.
  DataParallelModel(M& module, const std::vector<Device>& devices = {}, const DataParallelOptions& options = {})
      : module_(&module), set_(devices, options) {
    if (set_.empty()) return;
    module.to(set_.ranks());
    for (const nn::Parameter& p : module.parameters()) p.set_order(set_.order());
  }

  /// Splits the arguments (any nest, see split.h) and runs the module's forward on every device that has samples.
  /// Returns one output per such device, in order of samples. Throws WorkerErrors with what failed anywhere.
  template <class... Args>
  auto operator()(const Args&... args) const {
    using Out = std::decay_t<decltype(detail::call(*module_, std::declval<const detail::SplitResult<Args>&>()...))>;
    if (set_.empty()) return PerDevice<Out>({current_device()}, {detail::call(*module_, detail::unsplit(args)...)});
    Splitter splitter = set_.splitter();
    auto parts = detail::split_nest(std::tuple<Args...>(args...), splitter, "input");
    const std::vector<int> active = set_.active(splitter.sizes());
    auto shares = std::make_shared<decltype(parts)>(detail::pick(std::move(parts), active));
    PerDevice<Out> outputs = apply_on(
        *set_.workers(), active,
        [shares, module = module_](size_t i, int) -> Out {
          return std::apply([&](const auto&... arg) -> Out { return detail::call(*module, arg...); }, (*shares)[i]);
        },
        set_.apply_options(splitter.sizes()));
    outputs.set_origin(set_.workers());
    return outputs;
  }

  M& module() const { return *module_; }
  const std::vector<Device>& devices() const { return set_.ranks(); }

 private:
  M* module_;
  RankSet set_;
};

/// "DataParallelModel on cpu:0 cpu:1\n" and the module's tree.
template <class M>
std::string to_string(const DataParallelModel<M>& model) {
  std::string text = "DataParallelModel on";
  for (const Device device : model.devices()) text += " " + to_string(device);
  return text + "\n" + nn::to_string(model.module());
}

namespace detail {

/// One rank's loss, before and after the weights of all ranks are known.
struct Term {
  Tensor sum;     // of a loss with parts, or a callable's mean over its share
  Tensor weight;  // undefined for a callable
};
inline Term term(const nn::LossParts& parts) { return {parts.sum, parts.weight}; }
inline Term term(const Tensor& mean) { return {mean, Tensor()}; }

/// Divides each rank's sum by the weight over all ranks; a mean over a share is multiplied by its part of the batch.
std::vector<Tensor> normalize(const std::vector<Term>& terms, const std::vector<Device>& devices,
                              const std::vector<int64_t>& sizes, Order order);

template <class Result>
struct Normalizer {
  using Loss = Tensor;
  static std::vector<Tensor> run(const std::vector<Result>& results, const std::vector<Device>& devices,
                                 const std::vector<int64_t>& sizes, Order order) {
    std::vector<Term> terms;
    for (const Result& result : results) terms.push_back(term(result));
    return normalize(terms, devices, sizes, order);
  }
};
template <class... R>
struct Normalizer<std::tuple<R...>> {
  using Loss = std::tuple<typename Normalizer<R>::Loss...>;
  static std::vector<Loss> run(const std::vector<std::tuple<R...>>& results, const std::vector<Device>& devices,
                               const std::vector<int64_t>& sizes, Order order) {
    return run(results, devices, sizes, order, std::index_sequence_for<R...>{});
  }

 private:
  template <size_t... I>
  static std::vector<Loss> run(const std::vector<std::tuple<R...>>& results, const std::vector<Device>& devices,
                               const std::vector<int64_t>& sizes, Order order, std::index_sequence<I...>) {
    const auto column = [&](auto index) {
      std::vector<std::tuple_element_t<decltype(index)::value, std::tuple<R...>>> values;
      for (const auto& result : results) values.push_back(std::get<decltype(index)::value>(result));
      return values;
    };
    std::tuple<std::vector<typename Normalizer<R>::Loss>...> columns{
        Normalizer<R>::run(column(std::integral_constant<size_t, I>{}), devices, sizes, order)...};
    std::vector<Loss> losses;
    for (size_t i = 0; i < results.size(); ++i) losses.emplace_back(std::get<I>(columns)[i]...);
    return losses;
  }
};

template <class L, class... Args>
decltype(auto) call_loss(const L& loss, const Args&... args) {
  if constexpr (requires { loss.parts(args...); })
    return loss.parts(args...);
  else
    return call(loss, args...);
}

/// A module's output as a tuple of arguments.
template <class... T>
const std::tuple<T...>& arguments(const std::tuple<T...>& output) {
  return output;
}
template <class T>
auto arguments(const T& output) {
  auto mapped = tuple_map(output);
  if constexpr (requires { std::tuple_size<decltype(mapped)>::value; })
    return mapped;
  else
    return std::tuple<T>(output);
}

}  // namespace detail

template <class L>
class DataParallelCriterion {
 public:
  /// `loss`: an nn loss (with `parts`) or any callable that gives the mean over the samples it sees. Copied or moved
  /// in.
  explicit DataParallelCriterion(L loss, const std::vector<Device>& devices = {},
                                 const DataParallelOptions& options = {})
      : loss_(std::make_shared<L>(std::move(loss))), set_(devices, options) {}

  /// outputs: what the model returned. targets: whole batches, split here, or PerDevice values. Returns one loss (or
  /// tuple of losses) per device; they add up to the loss of the batch. Throws DeviceError if the devices differ from
  /// those of the outputs.
  template <class Out, class... Targets>
  auto operator()(const PerDevice<Out>& outputs, const Targets&... targets) const {
    Splitter splitter = set_.splitter_over(outputs.devices());
    auto parts = detail::split_nest(std::tuple<Targets...>(targets...), splitter, "target");
    std::vector<int64_t> sizes = splitter.sizes();
    if (sizes.empty())  // a loss of the prediction alone
      for (const Out& output : outputs) sizes.push_back(detail::batch_of(output, splitter.batch_axis()));
    auto held = std::make_shared<std::pair<PerDevice<Out>, decltype(parts)>>(outputs, std::move(parts));
    const auto one = [held, loss = loss_](size_t i, int) {
      return std::apply([&](const auto&... arg) { return detail::call_loss(*loss, arg...); },
                        std::tuple_cat(detail::arguments(held->first[static_cast<int>(i)]), held->second[i]));
    };
    using Result = std::decay_t<decltype(one(0, 0))>;
    std::vector<Result> results;
    if (set_.empty()) {
      results.push_back(one(0, 0));
    } else {
      auto all = apply_on(*set_.workers(), set_.ranks_on(outputs.devices()), one, set_.apply_options(sizes));
      results.assign(std::make_move_iterator(all.begin()), std::make_move_iterator(all.end()));
    }
    PerDevice<typename detail::Normalizer<Result>::Loss> losses(
        outputs.devices(), detail::Normalizer<Result>::run(results, outputs.devices(), sizes, set_.order()));
    losses.set_origin(set_.workers());
    return losses;
  }

  const L& loss() const { return *loss_; }

 private:
  std::shared_ptr<L> loss_;
  RankSet set_;
};

}  // namespace weft::parallel
