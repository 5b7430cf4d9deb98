// The original's Parallel; see original.h.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace original {

/// queue.Queue(-1): without a bound.
template <class T>
class Queue {
 public:
  void put(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_one();
  }
  T get() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !values_.empty(); });
    return take();
  }
  /// Not of the original: what a test asks that will not wait for ever.
  std::optional<T> get_for(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, patience, [this] { return !values_.empty(); })) return std::nullopt;
    return take();
  }
  size_t size() {
    const std::lock_guard lock(mutex_);
    return values_.size();
  }

 private:
  T take() {
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<T> values_;
};

template <class In, class Out>
class Parallel {
 public:
  Parallel(int num_workers, std::function<Out(In)> task, bool serial_init = true)
      : task_(std::move(task)), serial_(serial_init ? num_workers : 0), alive_(num_workers) {
    for (int i = 0; i < num_workers; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Parallel() {
    for (int i = alive_; i > 0; --i) in_.put(std::nullopt);
    join();
  }
  void put(In x) {
    if (serial_ > 0 || threads_.empty()) {
      --serial_;
      out_.put(task_(std::move(x)));
    } else {
      in_.put(std::optional<In>(std::move(x)));
    }
  }
  Out get() { return out_.get(); }

  // For tests and for what Python does at exit.
  std::optional<Out> get_for(std::chrono::milliseconds patience) { return out_.get_for(patience); }
  int alive() const { return alive_; }
  size_t waiting() { return in_.size(); }
  /// The interpreter waits for threads that are no daemons before anything is deleted.
  void join() {
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }

 private:
  void work() {
    for (;;) {
      std::optional<In> x = in_.get();
      if (!x) break;
      try {
        out_.put(task_(std::move(*x)));
      } catch (...) {
        break;  // the thread prints a traceback and is gone
      }
    }
    --alive_;
  }
  std::function<Out(In)> task_;
  int serial_;
  Queue<std::optional<In>> in_;
  Queue<Out> out_;
  std::atomic<int> alive_;
  std::vector<std::thread> threads_;
};

}  // namespace original
