// Parallel: a pool of workers that apply one task to the items put into it; Parallelizable: such a task.
//
//   parallel::Parallel pool(2, task);
//   for (auto& share : parallel::split_and_load(std::tuple(data, label), devices)) pool.put(share);
//   std::vector<Tensor> losses = pool.drain();
#pragma once

#include "weft/parallel/apply.h"
#include "weft/parallel/pool.h"
#include "weft/parallel/split.h"

namespace weft::parallel {

/// A unit of work: what to do with one share of the data.
template <class In, class Out>
class Parallelizable {
 public:
  using Input = In;
  using Output = Out;
  virtual ~Parallelizable() = default;
  /// Runs in a worker, several at a time; state of the object that calls change needs a lock of its own.
  virtual Out forward_backward(In x) = 0;
};

namespace detail {
/// The first tensor of an item: its device chooses the worker, its first extent counts the samples.
inline const Tensor* first_tensor(const Tensor& x) { return x.defined() ? &x : nullptr; }
template <class T>
const Tensor* first_tensor(const T&) {
  return nullptr;
}
template <class T>
const Tensor* first_tensor(const std::vector<T>& list);
template <class A, class B>
const Tensor* first_tensor(const std::pair<A, B>& pair);
template <class... T>
const Tensor* first_tensor(const std::tuple<T...>& tuple) {
  const Tensor* found = nullptr;
  std::apply([&](const auto&... each) { ((found = found ? found : first_tensor(each)), ...); }, tuple);
  return found;
}
template <class A, class B>
const Tensor* first_tensor(const std::pair<A, B>& pair) {
  const Tensor* found = first_tensor(pair.first);
  return found ? found : first_tensor(pair.second);
}
template <class T>
const Tensor* first_tensor(const std::vector<T>& list) {
  for (const T& each : list)
    if (const Tensor* found = first_tensor(each)) return found;
  return nullptr;
}
}  // namespace detail

template <class In, class Out>
class Parallel {
 public:
  using Ticket = Pool::Ticket;
  using Stored = detail::Stored<Out>;  ///< Out; std::monostate for void
  using Task = Parallelizable<In, Out>;

  /// Shares the task: a worker that never answers keeps it alive.
  Parallel(int num_workers, std::shared_ptr<Task> task, const ParallelOptions& options = {})
      : Parallel(
            num_workers, [task](In x) { return task->forward_backward(std::move(x)); }, options) {}
  /// Refers to a task that must outlive the pool.
  Parallel(int num_workers, Task& task, const ParallelOptions& options = {})
      : Parallel(num_workers, std::shared_ptr<Task>(std::shared_ptr<Task>(), &task), options) {}
  /// Any callable.
  Parallel(int num_workers, std::function<Out(In)> task, const ParallelOptions& options = {})
      : task_(std::make_shared<std::function<Out(In)>>(std::move(task))), pool_(num_workers, options) {}

  /// Queues an item; with no workers, does it now: its error comes out of get() all the same.
  Ticket put(In x) {
    const Tensor* tensor = detail::first_tensor(x);
    const std::optional<Device> device = tensor ? std::optional(tensor->device()) : std::nullopt;
    const int64_t samples = tensor && tensor->rank() > 0 ? tensor->size(0) : 0;
    auto result = std::make_shared<std::optional<Stored>>();
    auto input = std::make_shared<In>(std::move(x));
    auto job = [task = task_, result, input] {
      if constexpr (std::is_void_v<Out>) {
        (*task)(std::move(*input));
        result->emplace();
      } else {
        result->emplace((*task)(std::move(*input)));
      }
    };
    return pool_.put(device, samples, std::move(job), result);
  }

  /// The next result in order of put; throws what the task threw.
  Stored get() { return take(pool_.wait_next()); }
  Stored get(Ticket ticket) { return take(pool_.wait(ticket)); }
  /// Whichever result is ready first.
  Stored get_any() { return take(pool_.wait_any()); }
  /// The next result in order of put, or nothing if it is not there in time.
  std::optional<Stored> get_for(Seconds duration) {
    const Pool::Result result = pool_.wait_next_for(duration);
    return result ? std::optional<Stored>(take(result)) : std::nullopt;
  }
  /// All outstanding results in order of put; throws WorkerErrors with all that failed, and then none is outstanding.
  std::vector<Stored> drain() {
    std::vector<Stored> all;
    for (const Pool::Result& result : pool_.wait_all()) all.push_back(take(result));
    return all;
  }
  /// Puts all inputs and drains.
  std::vector<Stored> map(std::vector<In> inputs) {
    for (In& input : inputs) put(std::move(input));
    return drain();
  }
  size_t outstanding() const { return pool_.outstanding(); }
  void close() { pool_.close(); }
  void cancel() { pool_.cancel(); }
  int workers() const { return pool_.workers(); }

 private:
  static Stored take(const Pool::Result& result) {
    return std::move(**std::static_pointer_cast<std::optional<Stored>>(result));
  }

  std::shared_ptr<std::function<Out(In)>> task_;
  Pool pool_;
};

template <class Derived>
Parallel(int, Derived&) -> Parallel<typename Derived::Input, typename Derived::Output>;
template <class Derived>
Parallel(int, Derived&, const ParallelOptions&) -> Parallel<typename Derived::Input, typename Derived::Output>;
template <class Derived>
Parallel(int, std::shared_ptr<Derived>) -> Parallel<typename Derived::Input, typename Derived::Output>;
template <class Derived>
Parallel(int, std::shared_ptr<Derived>, const ParallelOptions&)
    -> Parallel<typename Derived::Input, typename Derived::Output>;

}  // namespace weft::parallel
