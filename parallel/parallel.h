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
/// f(tensor) for the tensors of an item or a result.
template <class F>
void each_tensor(const Tensor& x, const F& f) {
  if (x.defined()) f(x);
}
template <class T, class F>
void each_tensor(const T&, const F&) {}
template <class T, class F>
void each_tensor(const std::vector<T>& list, const F& f);
template <class A, class B, class F>
void each_tensor(const std::pair<A, B>& pair, const F& f);
template <class... T, class F>
void each_tensor(const std::tuple<T...>& tuple, const F& f) {
  std::apply([&](const auto&... each) { (each_tensor(each, f), ...); }, tuple);
}
template <class A, class B, class F>
void each_tensor(const std::pair<A, B>& pair, const F& f) {
  each_tensor(pair.first, f);
  each_tensor(pair.second, f);
}
template <class T, class F>
void each_tensor(const std::vector<T>& list, const F& f) {
  for (const T& each : list) each_tensor(each, f);
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

  /// Queues an item; with no workers, does it now: its error comes out of get() all the same. Its work is queued on the
  /// streams that are current here, and those current where the result is fetched wait for it.
  Ticket put(In x) {
    const Tensor* tensor = nullptr;  // the first: its device chooses the worker, its first extent counts the samples
    detail::each_tensor(x, [&tensor](const Tensor& each) { tensor = tensor ? tensor : &each; });
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
    Stored value = std::move(**std::static_pointer_cast<std::optional<Stored>>(result));
    // Memory of the streams of put() is used on those of this thread now.
    detail::each_tensor(value, [](const Tensor& x) { x.storage().record_stream(current_stream(x.device())); });
    return value;
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
