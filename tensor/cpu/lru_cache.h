// LruCache: the values used last, by key, for all threads.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace weft::cpu {

template <class Key, class Value, class Hash>
class LruCache {
 public:
  using Entry = std::shared_ptr<const Value>;

  /// `limit` values stay; the one unused for longest goes. Who holds its Entry may go on using it.
  explicit LruCache(size_t limit) : limit_(limit) {}

  /// Null if the key has no value.
  Entry find(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->second;
  }

  /// Keeps the value that is there already, if another thread was faster.
  void insert(const Key& key, Entry value) {
    const std::lock_guard lock(mutex_);
    if (places_.contains(key)) return;
    order_.emplace_front(key, std::move(value));
    try {
      places_.emplace(key, order_.begin());
    } catch (...) {
      order_.pop_front();
      throw;
    }
    if (order_.size() <= limit_) return;
    places_.erase(order_.back().first);
    order_.pop_back();
  }

  size_t size() const {
    const std::lock_guard lock(mutex_);
    return order_.size();
  }

 private:
  using Order = std::list<std::pair<Key, Entry>>;
  const size_t limit_;
  mutable std::mutex mutex_;
  Order order_;  // used last first
  std::unordered_map<Key, typename Order::iterator, Hash> places_;
};

}  // namespace weft::cpu
