// Clique: one NCCL communicator per device of a list, all of them driven by this process.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "weft/cuda/context.h"
#include "weft/cuda/nccl.h"
#include "weft/cuda/wait.h"
#include "weft/tensor/seconds.h"

namespace weft::cuda {

/// Runs `work` on a thread of its own and waits for it; false if it takes longer than `deadline` and is left to itself.
bool run_apart(Seconds deadline, std::function<void()> work);

class Clique {
 public:
  /// A collective, for texts and profiles: "all_reduce", a literal, "float32[1024]", and the bytes of that.
  struct What {
    const char* operation;
    std::string operands;
    int64_t bytes;
  };
  /// Queues the part of one rank.
  using Issue = std::function<ncclResult_t(size_t rank, ncclComm_t comm, cudaStream_t stream)>;

  /// Sets the communicators up, without blocking calls and within the deadline of CommOptions; from those of a clique
  /// with more devices, if one is given, else afresh. Throws what the first rank that failed says, naming its device,
  /// and what its devices did last.
  explicit Clique(std::vector<int> devices, Clique* larger = nullptr);
  /// Gives the communicators back, apart from this thread.
  ~Clique();
  Clique(const Clique&) = delete;
  Clique& operator=(const Clique&) = delete;

  const std::vector<int>& devices() const { return devices_; }
  bool has(int device) const;
  /// Whether its devices are those of before forget_devices().
  bool is_forgotten() const noexcept;
  bool is_usable() const noexcept { return usable_.load(std::memory_order_acquire); }
  /// Whether something that was launched may still run.
  bool is_busy() const noexcept { return busy_.load(std::memory_order_acquire) || is_stuck(); }

  /// One grouped call for all ranks, each on its stream; returns when it is launched everywhere. What fails gives the
  /// clique up: it is of no use any more.
  void launch(const What& what, const std::vector<Stream>& streams, const Issue& issue);
  /// What is wrong with what was launched last: it failed, or did not end within the deadline since `wait_began` and
  /// its launch. Nothing if all is well, or another thread is looking.
  std::optional<std::string> look(WaitClock::time_point wait_began);
  /// Aborts the communicators. Returns the text of the error: `trouble`, what the clique did last, and whether the
  /// abort ended; nothing if another thread was faster.
  std::string give_up(const std::string& trouble);
  /// "; the last operations on cuda:0, cuda:1, newest first: all_reduce #2 float32[6], …"
  std::string last_operations() const;
  /// Whether it was given up with results outstanding, which nobody must take for good.
  bool has_lost_results() const noexcept { return lost_.load(std::memory_order_acquire); }
  /// True from when an abort has overrun its deadline until it ends.
  bool is_stuck() const noexcept { return *abort_ == Abort::overrun; }

 private:
  static constexpr size_t kept = 8;
  struct Record {
    int64_t number = 0;
    What what;
    WaitClock::time_point launched;
    std::vector<UniqueEvent> ends;  // of each rank's part
  };
  enum class Abort { none, running, overrun, ended };

  Device device(size_t rank) const { return {DeviceType::cuda, devices_[rank]}; }
  void create(const std::string& operation);
  void split(Clique& larger, const std::string& operation);
  void await(const std::string& operation) const;
  void launch_locked(Record& record, const std::vector<Stream>& streams, const Issue& issue);
  Record& newest() { return records_[static_cast<size_t>(launched_) % kept]; }
  std::string unfinished(const Record& record) const;
  std::optional<std::string> look_locked(WaitClock::time_point wait_began);
  void drain_locked();
  std::string give_up_locked();
  std::string history_locked() const;
  std::string abort();

  std::vector<int> devices_;
  std::vector<const Context*> contexts_;
  std::vector<ncclComm_t> comms_;
  mutable std::mutex mutex_;
  int64_t launched_ = 0;
  std::array<Record, kept> records_;  // of operation n at n modulo kept
  std::atomic<bool> usable_{true}, busy_{false}, lost_{false};
  std::shared_ptr<std::atomic<Abort>> abort_ = std::make_shared<std::atomic<Abort>>(Abort::none);
};

}  // namespace weft::cuda
