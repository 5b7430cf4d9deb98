// The part of NCCL that weft calls, on the simulated devices: communicators that do not block, groups of calls,
// collectives that meet by their number on each communicator and run as operations of the streams.
#pragma once

#include <nccl.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace weft::sim::nccl {

struct World;

/// One rank's part of a collective.
struct Part {
  bool here = false;     // its call was made
  bool at_head = false;  // its stream has come to it
  bool lost = false;     // it will never run
  int late_ms = 0;
  std::chrono::steady_clock::time_point arrived = {};
  const char* call = "";
  size_t count = 0;
  ncclDataType_t type = ncclFloat32;
  ncclRedOp_t op = ncclSum;
  int root = -1;
  const void* send = nullptr;
  void* receive = nullptr;
  cudaStream_t stream = nullptr;
};

/// One collective of all ranks.
struct Round {
  int64_t number = 0;
  std::vector<Part> parts;
  bool broken = false;  // the ranks disagree
  bool computed = false;
  std::vector<std::vector<char>> results;  // of each rank
};

/// The ranks that one id joins, or one split makes.
struct World {
  int size = 0;
  int joined = 0;
  std::vector<std::weak_ptr<ncclComm>> ranks;
  std::map<int64_t, std::shared_ptr<Round>> rounds;  // that not all ranks have called
};

}  // namespace weft::sim::nccl

struct ncclComm {
  std::shared_ptr<weft::sim::nccl::World> world;
  int rank = 0;
  int device = 0;
  uint64_t epoch = 0;
  std::thread::id maker;
  ncclResult_t failure = ncclSuccess;  // what ncclCommGetAsyncError tells
  int questions = 0;                   // that are answered with ncclInProgress
  int64_t calls = 0;
  std::vector<std::shared_ptr<weft::sim::nccl::Round>> to_queue;  // by the next question but those
  bool revoked = false, aborted = false;
};

namespace weft::sim::nccl {

using Comm = std::shared_ptr<ncclComm>;

/// The communicator behind the handle, or null and a report naming `who`; `idle`: nothing of it may be in progress.
Comm find(ncclComm_t handle, const char* who, bool idle);
ncclResult_t planned_fault(int device);
/// Puts the part into its round; the last of all ranks checks that they agree.
void meet(const Comm& comm, Part part);
/// After a group: reports a collective in which a rank has no part although the thread of the group drives it.
void check_presence(const Comm& comm);
/// Queues the parts that wait for it on their streams.
void queue_parts(const Comm& comm);

/// Calls `now` at once outside of a group, else at its end.
ncclResult_t in_group(const Comm& comm, std::function<void()> now);
bool is_grouped();
/// Returns the status, of a call that failed; the group it stands in, if any, fails with it.
ncclResult_t refuse(ncclResult_t status);

}  // namespace weft::sim::nccl
