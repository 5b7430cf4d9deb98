#include "weft/cuda/nccl_cliques.h"

#include <algorithm>

#include "weft/cuda/check.h"
#include "weft/tensor/group.h"
#include "weft/tensor/untold.h"

namespace weft::cuda {

Cliques& Cliques::instance() {
  static auto& cliques = *new Cliques;  // never destroyed: at exit CUDA may be gone before
  return cliques;
}

CliqueCounts Cliques::counts() const {
  const std::lock_guard lock(mutex_);
  CliqueCounts counts = counts_;
  counts.cached = std::ssize(cached_);
  return counts;
}

std::vector<std::shared_ptr<Clique>> Cliques::all() const {
  const std::lock_guard lock(mutex_);
  return cached_;
}

void Cliques::prune_locked() {
  std::erase_if(cached_, [](const auto& clique) { return clique->is_forgotten(); });
  std::erase_if(stuck_, [](const Stuck& s) { return s.clique->is_forgotten() || !s.clique->is_stuck(); });
  std::erase_if(losses_, [](const Loss& loss) { return loss.clique->is_forgotten(); });
  any_loss_.store(!losses_.empty(), std::memory_order_release);
}

std::shared_ptr<Clique> Cliques::find(const std::vector<int>& devices) {
  const std::lock_guard lock(mutex_);
  prune_locked();
  const auto found =
      std::find_if(cached_.begin(), cached_.end(), [&](const auto& clique) { return clique->devices() == devices; });
  if (found == cached_.end()) return nullptr;
  std::rotate(found, found + 1, cached_.end());
  return cached_.back();
}

std::shared_ptr<Clique> Cliques::find_larger(const std::vector<int>& devices) {
  for (const auto& clique : all()) {
    const bool larger = clique->devices().size() > devices.size() && clique->is_usable() && !clique->is_busy();
    if (larger && std::all_of(devices.begin(), devices.end(), [&](int device) { return clique->has(device); }))
      return clique;
  }
  return nullptr;
}

std::shared_ptr<Clique> Cliques::acquire(const std::vector<int>& devices) {
  const std::lock_guard one_at_a_time(making_);
  if (auto found = find(devices)) return found;
  std::shared_ptr<Clique> larger = find_larger(devices), made;
  if (larger) {
    try {
      const weft::detail::UntoldScope untold;
      made = std::make_shared<Clique>(devices, larger.get());
    } catch (const Error& error) {  // one of its other devices may be lost
      if (!larger->is_usable()) drop(larger, error.what());
      larger = nullptr;
    }
  }
  if (!made) made = std::make_shared<Clique>(devices);
  std::shared_ptr<Clique> evicted;  // outlives the lock: to destroy it takes time
  const std::lock_guard lock(mutex_);
  ++(larger ? counts_.split : counts_.created);
  if (cached_.size() >= max_cached) {
    const auto idle =
        std::find_if(cached_.begin(), cached_.end(), [](const auto& clique) { return !clique->is_busy(); });
    if (idle != cached_.end()) {
      evicted = std::move(*idle);
      cached_.erase(idle);
      ++counts_.evicted;
    }
  }
  cached_.push_back(made);
  return made;
}

// The clique was given up.
void Cliques::drop(const std::shared_ptr<Clique>& clique, const std::string& text) {
  std::string last = clique->last_operations();
  const std::lock_guard lock(mutex_);
  if (std::erase(cached_, clique) == 0) return;  // another thread has done it
  ++counts_.given_up;
  if (clique->is_stuck()) stuck_.push_back({clique, std::move(last)});
  if (clique->has_lost_results()) {
    if (losses_.size() >= max_losses) losses_.erase(losses_.begin());
    losses_.push_back({clique, text, {}});
    any_loss_.store(true, std::memory_order_release);
  }
}

void Cliques::launch(const std::vector<int>& devices, const Clique::What& what, const std::vector<Stream>& streams,
                     const Clique::Issue& issue) {
  const std::shared_ptr<Clique> clique = acquire(devices);
  try {
    clique->launch(what, streams, issue);
  } catch (const std::exception& error) {
    drop(clique, error.what());
    throw;
  }
}

bool Cliques::is_busy(int device) noexcept {
  const auto concerns = [device](const std::shared_ptr<Clique>& clique) {
    return (device < 0 || clique->has(device)) && !clique->is_forgotten();
  };
  const std::lock_guard lock(mutex_);
  return std::any_of(cached_.begin(), cached_.end(), [&](const auto& c) { return c->is_busy() && concerns(c); }) ||
         std::any_of(stuck_.begin(), stuck_.end(),
                     [&](const Stuck& s) { return s.clique->is_stuck() && concerns(s.clique); });
}

void Cliques::look(int device, WaitClock::time_point wait_began) {
  for (const auto& clique : all()) {
    if (!clique->is_busy() || clique->is_forgotten()) continue;
    const std::optional<std::string> trouble = clique->look(wait_began);
    if (!trouble) continue;
    const std::string text = clique->give_up(*trouble);
    if (text.empty()) continue;
    drop(clique, text);
    if (clique->is_stuck() && clique->has(device)) throw CommError(text);
  }
  const std::lock_guard lock(mutex_);
  for (const Stuck& s : stuck_)
    if (s.clique->is_stuck() && !s.clique->is_forgotten() && s.clique->has(device))
      fail<CommError>("wait: ", Device(DeviceType::cuda, device),
                      " is kept busy by a collective whose abort has not ended; ",
                      "save on other devices and restart the process", s.last);
}

// Whether this thread need not be told any more: it was, or it knows of the lost device that was the cause.
bool Cliques::Loss::is_known() const {
  const std::vector<int>& ranks = clique->devices();
  return std::find(told.begin(), told.end(), std::this_thread::get_id()) != told.end() ||
         std::any_of(ranks.begin(), ranks.end(), was_told_lost);
}

void Cliques::deliver(int device) {
  if (!any_loss_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  prune_locked();
  for (Loss& loss : losses_) {
    if (!loss.clique->has(device) || loss.is_known()) continue;
    if (!weft::detail::is_untold(weft::detail::Caught::all)) loss.told.push_back(std::this_thread::get_id());
    throw CommError(loss.text);
  }
}

void Cliques::finish(std::span<const int> devices) {
  for (const int device : devices) wait_for_collectives(device);
  if (!any_loss_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  prune_locked();
  std::string text;
  std::erase_if(losses_, [&](const Loss& loss) {  // who finishes its collectives has heard of all of them
    if (std::none_of(devices.begin(), devices.end(), [&](int device) { return loss.clique->has(device); }))
      return false;
    if (text.empty() && !loss.is_known()) text = loss.text;
    return true;
  });
  any_loss_.store(!losses_.empty(), std::memory_order_release);
  if (!text.empty()) throw CommError(text);
}

}  // namespace weft::cuda
