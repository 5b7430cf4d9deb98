// The original that parallel/ follows, with its defects: gluon-cv's utils/parallel.py and the parts of MXNet's gluon
// that it stands on, line by line where a line matters. The tests of defects run against it too and must see it
// misbehave. Python's objects are Values; its exceptions are C++ ones.
#pragma once

#include "tests/parallel/original_pool.h"
#include "tests/parallel/original_training.h"
#include "tests/parallel/original_value.h"

namespace original {

/// What a module is to the original: something called with positional and named arguments, with parameters.
struct Module {
  std::function<Value(const Values& arguments, const Value& named)> call;
  std::vector<Parameter*> parameters = {};
};

inline Value tuple_map(const Value& x) {
  if (x.kind == Kind::tensor) return tuple({x});
  if (x.kind == Kind::list && !x.items.empty()) return tuple(x.items);
  return x;
}

/// Threads that were started by calls so far.
inline std::atomic<int>& threads_started() {
  static std::atomic<int> count{0};
  return count;
}

/// One thread per device; training mode is handed on only under recording, only `except Exception` is caught, and what
/// was not stored is missing from `results`.
template <class Call>
Values run_threads(size_t n, Call call) {
  std::mutex lock;
  std::map<size_t, std::pair<Value, std::exception_ptr>> results;
  const bool is_training = weft::autograd::is_training(), is_recording = weft::autograd::is_recording();
  std::vector<std::thread> threads;
  for (size_t i = 0; i < n; ++i)
    threads.emplace_back([&, i] {
      ++threads_started();
      std::pair<Value, std::exception_ptr> result;
      try {
        if (is_recording) {
          const weft::autograd::Record record(is_training);
          result.first = call(i);
        } else {
          result.first = call(i);
        }
      } catch (const std::exception&) {
        result.second = std::current_exception();
      } catch (...) {
        return;  // no Exception: the thread ends without a word
      }
      const std::lock_guard guard(lock);
      results[i] = result;
    });
  for (std::thread& thread : threads) thread.join();
  Values outputs;
  for (size_t i = 0; i < n; ++i) {
    if (!results.count(i)) throw PythonError("KeyError: " + std::to_string(i));
    if (results[i].second) std::rethrow_exception(results[i].second);
    outputs.push_back(results[i].first);
  }
  return outputs;
}

inline Value parallel_apply(const Module& module, const Values& inputs, const Values& named, bool sync) {
  if (!sync) {
    Values outputs;
    for (size_t i = 0; i < inputs.size(); ++i) outputs.push_back(tuple_map(module.call(inputs[i].items, named[i])));
    return tuple(outputs);
  }
  return tuple(run_threads(inputs.size(), [&](size_t i) {
    Value output = tuple_map(module.call(inputs[i].items, named[i]));
    for (const Value& out : iterate(output)) wait_to_read(out);
    return output;
  }));
}

inline Value criterion_parallel_apply(const Module& module, const Values& inputs, const Values& targets,
                                      const Values& named, bool sync) {
  const auto one = [&](size_t i) { return module.call(joined(inputs[i], targets[i]).items, named[i]); };
  if (sync)
    return tuple(run_threads(inputs.size(), [&](size_t i) {
      Value output = one(i);
      wait_to_read(output);
      return output;
    }));
  Values outputs;
  for (size_t i = 0; i < std::min(inputs.size(), targets.size()); ++i) outputs.push_back(one(i));
  return tuple(outputs);
}

class DataParallelModel {
 public:
  DataParallelModel(Module& module, std::vector<weft::Device> devices, bool sync = false)
      : module_(module), devices_(std::move(devices)), sync_(sync) {
    for (Parameter* p : module.parameters) p->reset_ctx(devices_);
  }
  Value operator()(const Values& arguments, const Value& named = dict({})) const {
    if (devices_.empty()) return module_.call(arguments, named);
    const auto [inputs, kwargs] = split_load_kwargs(tuple(arguments), named, devices_);
    if (devices_.size() == 1) return tuple({tuple_map(module_.call(inputs[0].items, kwargs[0]))});
    return parallel_apply(module_, inputs, kwargs, sync_);
  }

 private:
  Module& module_;
  std::vector<weft::Device> devices_;
  bool sync_;
};

class DataParallelCriterion {
 public:
  DataParallelCriterion(Module& module, std::vector<weft::Device> devices, bool sync = false)
      : module_(module), devices_(std::move(devices)), sync_(sync) {}
  Value operator()(const Value& inputs, const Values& targets, const Value& named = dict({})) const {
    if (devices_.empty()) return module_.call(joined(tuple({inputs}), tuple(targets)).items, named);
    const auto [split, kwargs] = split_load_kwargs(tuple(targets), named, devices_);
    if (devices_.size() == 1) return tuple_map(module_.call(joined(inputs.items[0], split[0]).items, kwargs[0]));
    return criterion_parallel_apply(module_, inputs.items, split, kwargs, sync_);
  }

 private:
  Module& module_;
  std::vector<weft::Device> devices_;
  bool sync_;
};

}  // namespace original
