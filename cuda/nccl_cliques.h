// The cliques of the process: which there are, and which were given up.
#pragma once

#include <span>
#include <thread>

#include "weft/cuda/nccl_clique.h"

namespace weft::cuda {

/// What happened so far.
struct CliqueCounts {
  int64_t cached = 0;    ///< cliques that exist now
  int64_t created = 0;   ///< afresh
  int64_t split = 0;     ///< from a larger one
  int64_t evicted = 0;   ///< to keep their number bounded
  int64_t given_up = 0;  ///< after a failure
};

class Cliques final : public CollectiveWatch {
 public:
  static constexpr size_t max_cached = 8;
  static Cliques& instance();

  /// Launches on the clique of these devices, which is made if need be; see Clique::launch.
  void launch(const std::vector<int>& devices, const Clique::What& what, const std::vector<Stream>& streams,
              const Clique::Issue& issue);
  /// See finish_collectives.
  void finish(std::span<const int> devices);
  CliqueCounts counts() const;

  bool is_busy(int device) noexcept override;
  void look(int device, WaitClock::time_point wait_began) override;
  void deliver(int device) override;

 private:
  // Results that were lost with a clique, and who knows of it.
  struct Loss {
    std::shared_ptr<Clique> clique;
    std::string text;
    std::vector<std::thread::id> told;

    bool is_known() const;
  };
  struct Stuck {
    std::shared_ptr<Clique> clique;
    std::string last;  // its operations
  };
  static constexpr size_t max_losses = 16;

  std::shared_ptr<Clique> find(const std::vector<int>& devices);
  std::shared_ptr<Clique> find_larger(const std::vector<int>& devices);
  std::shared_ptr<Clique> acquire(const std::vector<int>& devices);
  void drop(const std::shared_ptr<Clique>& clique, const std::string& text);
  void prune_locked();
  std::vector<std::shared_ptr<Clique>> all() const;

  std::mutex making_;                            // taken before the other
  mutable std::mutex mutex_;                     // of what follows
  std::vector<std::shared_ptr<Clique>> cached_;  // the one used last stands last
  std::vector<Stuck> stuck_;                     // whose abort has not ended, as far as is known
  std::vector<Loss> losses_;
  std::atomic<bool> any_loss_{false};
  CliqueCounts counts_;
};

}  // namespace weft::cuda
