// Communicators and groups.
#include "fake_nccl.h"

#include <cstring>

#include "lock.h"
#include "runtime/status.h"
#include "sim.h"

namespace weft::sim::nccl {
namespace {

std::map<ncclComm_t, Comm>& comms() {
  static auto& all = *new std::map<ncclComm_t, Comm>;
  return all;
}
std::map<uint64_t, std::shared_ptr<World>>& worlds() {  // by the number in the unique id
  static auto& all = *new std::map<uint64_t, std::shared_ptr<World>>;
  return all;
}
uint64_t last_id = 0;

// One rank's call of ncclCommSplit.
struct Branch {
  Comm parent;
  int color, key;
  Comm made;
};

struct GroupState {
  int depth = 0;
  ncclResult_t failure = ncclSuccess;
  std::vector<Comm> touched;
  std::vector<std::function<void()>> calls;
  std::vector<Branch> branches;
};
thread_local GroupState group;

ncclResult_t fail(ncclResult_t status, const std::string& text) {
  report("nccl: " + text);
  return status;
}

Comm new_comm() {
  auto comm = std::make_shared<ncclComm>();
  comm->device = current_device();
  comm->epoch = epoch();
  comm->maker = std::this_thread::get_id();
  comm->questions = 2;
  comms()[comm.get()] = comm;
  return comm;
}

void join(const Comm& comm, int size, int rank, uint64_t id) {
  auto& world = worlds()[id];
  if (!world) {
    world = std::make_shared<World>();
    world->size = size;
    world->ranks.resize(static_cast<size_t>(size));
  }
  comm->world = world;
  comm->rank = rank;
  const std::string who = "ncclCommInitRankConfig: rank " + std::to_string(rank);
  if (size != world->size) {
    comm->failure = fail(ncclInvalidArgument, who + " of " + std::to_string(size) + ", but others said " +
                                                  std::to_string(world->size) + " ranks");
    return;
  }
  for (const auto& seat : world->ranks)
    if (const Comm other = seat.lock(); other && (other->rank == rank || other->device == comm->device))
      comm->failure = fail(ncclInvalidUsage, who + " on cuda:" + std::to_string(comm->device) + " is there twice");
  if (comm->failure != ncclSuccess || consult_fault(FaultKind::nccl_lost_peer, comm->device) != 0) return;
  world->ranks[static_cast<size_t>(rank)] = comm;
  ++world->joined;
}

// All branches of one parent's ranks, which must all have been made in this group.
void split(std::vector<Branch> branches) {
  while (!branches.empty()) {
    const std::shared_ptr<World> parent = branches[0].parent->world;
    std::map<int, std::map<int, Branch>> colors;  // then by key
    int ranks = 0;
    for (const Branch& branch : branches) {
      if (branch.parent->world != parent) continue;
      ++ranks;
      if (branch.made) colors[branch.color][branch.key] = branch;
      branch.parent->questions = 1;
    }
    if (ranks != parent->size)
      fail(ncclInvalidUsage,
           "ncclCommSplit: only " + std::to_string(ranks) + " of " + std::to_string(parent->size) + " ranks called it");
    for (const auto& [color, members] : colors) {
      auto world = std::make_shared<World>();
      world->size = world->joined = static_cast<int>(members.size());
      for (const auto& [key, branch] : members) {
        branch.made->world = world;
        branch.made->rank = static_cast<int>(world->ranks.size());
        branch.made->device = branch.parent->device;
        world->ranks.push_back(branch.made);
      }
    }
    std::erase_if(branches, [&](const Branch& branch) { return branch.parent->world == parent; });
  }
}

ncclResult_t end_group() {
  GroupState ended = std::move(group);
  group = {};
  ncclResult_t status = ended.failure;
  if (status == ncclSuccess && !ended.touched.empty()) status = planned_fault(ended.touched[0]->device);
  if (status != ncclSuccess) {
    for (const Comm& comm : ended.touched) comm->failure = status;
    return status;
  }
  for (const auto& call : ended.calls) call();
  for (const Comm& comm : ended.touched) check_presence(comm);
  split(std::move(ended.branches));
  return ended.touched.empty() ? ncclSuccess : ncclInProgress;
}

// Whether all ranks of the communicator's world have come.
bool is_complete(const Comm& comm) { return comm->world && comm->world->joined == comm->world->size; }

// A call that ends a communicator hangs, if the plan says so, until the devices are reset; with other threads let in.
bool hangs(ncclComm_t handle, const char* who) {
  int device = -1;
  uint64_t now = 0;
  {
    Lock lock;
    const Comm comm = find(handle, who, false);
    if (!comm) return false;
    device = comm->device;
    now = epoch();
  }
  if (consult_fault(FaultKind::nccl_abort, device) == 0) return false;
  while (epoch() == now) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return true;
}

}  // namespace

ncclResult_t planned_fault(int device) { return static_cast<ncclResult_t>(consult_fault(FaultKind::nccl, device)); }

Comm find(ncclComm_t handle, const char* who, bool idle) {
  const auto found = comms().find(handle);
  if (found != comms().end() && found->second->epoch != epoch()) return nullptr;  // by a thread whose devices are gone
  if (found == comms().end()) {
    report(std::string("nccl: ") + who + ": with a communicator that does not exist, or no longer");
    return nullptr;
  }
  const Comm& comm = found->second;
  if (idle && (comm->questions > 0 || !comm->to_queue.empty() || !is_complete(comm))) {
    report(std::string("nccl: ") + who +
           ": the communicator's last operation is still in progress; ask ncclCommGetAsyncError until it is not");
    return nullptr;
  }
  if (idle && (comm->revoked || comm->failure != ncclSuccess)) {
    report(std::string("nccl: ") + who + ": the communicator has failed or was revoked; abort it");
    return nullptr;
  }
  return comm;
}

ncclResult_t in_group(const Comm& comm, std::function<void()> now) {
  group.touched.push_back(comm);
  group.calls.push_back(std::move(now));
  return group.depth > 0 ? ncclSuccess : end_group();
}

bool is_grouped() { return group.depth > 0; }

ncclResult_t refuse(ncclResult_t status) {
  if (group.depth > 0 && group.failure == ncclSuccess) group.failure = status;
  return status;
}

}  // namespace weft::sim::nccl

using namespace weft::sim;
using namespace weft::sim::nccl;

ncclResult_t ncclGroupStart() {
  Lock lock;
  if (const ncclResult_t status = planned_fault(current_device()); status != ncclSuccess) return refuse(status);
  ++group.depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  Lock lock;
  if (group.depth == 0) return fail(ncclInvalidUsage, "ncclGroupEnd: without ncclGroupStart");
  return --group.depth > 0 ? ncclSuccess : end_group();
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  Lock lock;
  if (const ncclResult_t status = planned_fault(current_device()); status != ncclSuccess) return status;
  std::memset(id, 0, sizeof *id);
  ++last_id;
  std::memcpy(id->internal, &last_id, sizeof last_id);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* made, int size, ncclUniqueId id, int rank, ncclConfig_t* config) {
  Lock lock;
  *made = nullptr;
  if (device_count() == 0) return refuse(ncclUnhandledCudaError);
  if (const ncclResult_t status = planned_fault(current_device()); status != ncclSuccess) return refuse(status);
  if (!config || config->blocking != 0)
    return refuse(fail(ncclInvalidArgument, "ncclCommInitRankConfig: a communicator whose calls block"));
  if (rank < 0 || rank >= size)
    return refuse(fail(ncclInvalidArgument,
                       "ncclCommInitRankConfig: rank " + std::to_string(rank) + " of " + std::to_string(size)));
  uint64_t number = 0;
  std::memcpy(&number, id.internal, sizeof number);
  const Comm comm = new_comm();
  *made = comm.get();
  const ncclResult_t status = in_group(comm, [=] { join(comm, size, rank, number); });
  return status == ncclSuccess || status == ncclInProgress ? status : refuse(status);
}

ncclResult_t ncclCommSplit(ncclComm_t handle, int color, int key, ncclComm_t* made, ncclConfig_t* config) {
  Lock lock;
  *made = nullptr;
  const Comm comm = find(handle, "ncclCommSplit", true);
  if (!comm || !config || config->blocking != 0) return refuse(ncclInvalidArgument);
  if (const ncclResult_t status = planned_fault(comm->device); status != ncclSuccess) return refuse(status);
  if (group.depth == 0)
    return fail(ncclInvalidUsage,
                "ncclCommSplit: deadlock: it waits for the other ranks, which this thread drives; "
                "call it between ncclGroupStart and ncclGroupEnd");
  const Comm branch = color == NCCL_SPLIT_NOCOLOR ? nullptr : new_comm();
  *made = branch.get();
  group.touched.push_back(comm);
  group.branches.push_back({comm, color, key, branch});
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t* state) {
  Lock lock;
  const Comm comm = find(handle, "ncclCommGetAsyncError", false);
  if (!comm) return ncclInvalidArgument;
  if (comm->failure == ncclSuccess)
    comm->failure = static_cast<ncclResult_t>(consult_fault(FaultKind::nccl_async, comm->device));
  *state = comm->failure;
  if (*state != ncclSuccess) return ncclSuccess;
  if (!is_complete(comm) || comm->questions > 0) {
    *state = ncclInProgress;
    if (is_complete(comm)) --comm->questions;
    return ncclSuccess;
  }
  queue_parts(comm);
  *state = comm->failure;
  return ncclSuccess;
}

ncclResult_t ncclCommRevoke(ncclComm_t handle, int flags) {
  if (hangs(handle, "ncclCommRevoke")) return ncclInternalError;
  Lock lock;
  const Comm comm = find(handle, "ncclCommRevoke", false);
  if (!comm || flags != NCCL_REVOKE_DEFAULT) return ncclInvalidArgument;
  comm->revoked = true;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t handle) {
  if (hangs(handle, "ncclCommAbort")) return ncclInternalError;
  Lock lock;
  const Comm comm = find(handle, "ncclCommAbort", false);
  if (!comm) return ncclInvalidArgument;
  comm->aborted = true;
  comms().erase(handle);
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t handle) {
  Lock lock;
  const Comm comm = find(handle, "ncclCommDestroy", true);
  if (!comm) return ncclInvalidArgument;
  if (release_fails(comm->device)) return ncclUnhandledCudaError;
  comms().erase(handle);
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t status) {
  switch (status) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInternalError:
      return "internal error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    default:
      return "unknown result code";
  }
}

const char* ncclGetLastError(ncclComm_t) { return ""; }
