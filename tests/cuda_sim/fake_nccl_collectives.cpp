// Collectives: how ranks meet, and what they compute.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <type_traits>

#include "fake_nccl.h"
#include "lock.h"
#include "memory/pool.h"
#include "runtime/device.h"
#include "runtime/status.h"
#include "sim.h"
#include "weft/tensor/dtype.h"

namespace weft::sim {
namespace {

uint64_t& reduction_seed() {
  static uint64_t seed = [] {
    const char* text = std::getenv("WEFT_SIM_REDUCTION_SEED");
    return text ? std::strtoull(text, nullptr, 10) : 1;
  }();
  return seed;
}

}  // namespace

void set_reduction_seed(uint64_t seed) {
  Lock lock;
  reduction_seed() = seed;
}

namespace nccl {
namespace {

size_t bytes_of(ncclDataType_t type) {
  switch (type) {
    case ncclUint8:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclFloat32:
      return 4;
    default:
      return 8;
  }
}

const char* name_of(ncclDataType_t type) {
  switch (type) {
    case ncclUint8:
      return "uint8";
    case ncclInt32:
      return "int32";
    case ncclInt64:
      return "int64";
    case ncclFloat16:
      return "float16";
    case ncclBfloat16:
      return "bfloat16";
    case ncclFloat32:
      return "float32";
    case ncclFloat64:
      return "float64";
    default:
      return "an unknown type";
  }
}

bool is_called(const Part& part, const char* call) { return std::strcmp(part.call, call) == 0; }

size_t send_bytes(const Part& part, int rank) {
  const bool sends = !is_called(part, "ncclBroadcast") || rank == part.root;
  return sends ? part.count * bytes_of(part.type) : 0;
}
size_t receive_bytes(const Part& part, int rank, size_t ranks) {
  if (is_called(part, "ncclReduce") && rank != part.root) return 0;
  return part.count * bytes_of(part.type) * (is_called(part, "ncclAllGather") ? ranks : 1);
}

std::string describe(const Part& part) {
  std::string text = std::string(part.call) + " " + name_of(part.type) + "[" + std::to_string(part.count) + "]";
  if (part.root >= 0) text += " of root " + std::to_string(part.root);
  return part.op == ncclSum ? text : text + " with operator " + std::to_string(part.op);
}

// The ranks' order for the piece of the data with this number.
std::vector<size_t> order_of(size_t ranks, size_t piece) {
  std::vector<size_t> order(ranks);
  std::iota(order.begin(), order.end(), size_t{0});
  std::mt19937_64 random(reduction_seed() * 1000 + ranks);
  std::shuffle(order.begin(), order.end(), random);
  std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(piece % ranks), order.end());
  return order;
}

template <class T>
T combine(T a, T b, ncclRedOp_t op) {
  if (op == ncclMax) return static_cast<Compute<T>>(a) < static_cast<Compute<T>>(b) ? b : a;
  if constexpr (std::is_integral_v<T>) {
    using Unsigned = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<Unsigned>(static_cast<Unsigned>(a) + static_cast<Unsigned>(b)));
  } else {
    return T(static_cast<Compute<T>>(a) + static_cast<Compute<T>>(b));
  }
}

template <class T>
std::vector<char> reduce_as(const std::vector<std::vector<char>>& inputs, size_t count, ncclRedOp_t op) {
  std::vector<char> result(count * sizeof(T));
  T* const to = reinterpret_cast<T*>(result.data());
  const size_t piece = (count + inputs.size() - 1) / inputs.size();
  for (size_t i = 0; i < count; ++i) {
    const std::vector<size_t> order = order_of(inputs.size(), i / piece);
    const auto value = [&](size_t k) { return reinterpret_cast<const T*>(inputs[order[k]].data())[i]; };
    T sum = value(0);
    for (size_t k = 1; k < order.size(); ++k) sum = combine(sum, value(k), op);
    to[i] = sum;
  }
  return result;
}

std::vector<char> reduce(const std::vector<std::vector<char>>& inputs, const Part& part) {
  switch (part.type) {
    case ncclUint8:
      return reduce_as<uint8_t>(inputs, part.count, part.op);
    case ncclInt32:
      return reduce_as<int32_t>(inputs, part.count, part.op);
    case ncclInt64:
      return reduce_as<int64_t>(inputs, part.count, part.op);
    case ncclFloat16:
      return reduce_as<Half>(inputs, part.count, part.op);
    case ncclBfloat16:
      return reduce_as<BFloat16>(inputs, part.count, part.op);
    case ncclFloat64:
      return reduce_as<double>(inputs, part.count, part.op);
    default:
      return reduce_as<float>(inputs, part.count, part.op);
  }
}

// What every rank will receive, from what all send now that all have started.
void compute(const World& world, Round& round) {
  round.computed = true;
  std::vector<std::vector<char>> inputs;
  for (size_t rank = 0; rank < round.parts.size(); ++rank) {
    const Part& part = round.parts[rank];
    const Comm comm = world.ranks[rank].lock();
    std::vector<char> bytes(send_bytes(part, static_cast<int>(rank)));
    if (comm && pointer_device(part.send) == comm->device) {
      const DeviceAccess access(comm->device);
      std::memcpy(bytes.data(), part.send, bytes.size());
    }
    inputs.push_back(std::move(bytes));
  }
  const Part& any = round.parts[0];
  std::vector<char> result;
  if (is_called(any, "ncclBroadcast")) {
    result = inputs[static_cast<size_t>(any.root)];
  } else if (is_called(any, "ncclAllGather")) {
    for (const auto& input : inputs) result.insert(result.end(), input.begin(), input.end());
  } else {
    result = reduce(inputs, any);
  }
  for (size_t rank = 0; rank < round.parts.size(); ++rank) round.results.push_back(result);
}

// All parts start together: when every stream has come to its own.
bool may_start(const Comm& comm, Round& round) {
  Part& mine = round.parts[static_cast<size_t>(comm->rank)];
  const auto now = std::chrono::steady_clock::now();
  if (!mine.at_head) mine.arrived = now;
  mine.at_head = true;
  if (comm->aborted || comm->revoked || sticky_error(comm->device) != cudaSuccess) return true;
  if (round.broken) return false;
  for (size_t rank = 0; rank < round.parts.size(); ++rank) {
    const Part& part = round.parts[rank];
    const Comm other = comm->world->ranks[rank].lock();
    const bool gone = part.lost || !other || sticky_error(other->device) != cudaSuccess;
    if (!part.here || !part.at_head || gone || now < part.arrived + std::chrono::milliseconds(part.late_ms))
      return false;
  }
  return true;
}

void run(const Comm& comm, Round& round) {
  if (comm->aborted || comm->revoked) return;  // what it would have written stays as it is
  if (!round.computed) compute(*comm->world, round);
  const Part& part = round.parts[static_cast<size_t>(comm->rank)];
  const size_t received = receive_bytes(part, comm->rank, round.parts.size());
  bool fine = check_range(part.send, send_bytes(part, comm->rank), Access::read, part.call);
  fine = check_range(part.receive, received, Access::write, part.call) && fine;
  if (fine) std::memcpy(part.receive, round.results[static_cast<size_t>(comm->rank)].data(), received);
}

bool agree(const Part& a, const Part& b) {
  return is_called(a, b.call) && a.count == b.count && a.type == b.type && a.op == b.op && a.root == b.root;
}

void check_agreement(const World& world, Round& round) {
  for (const Part& part : round.parts) round.broken = round.broken || !agree(part, round.parts[0]);
  if (!round.broken) return;
  std::string text = "nccl: ranks disagree about collective #" + std::to_string(round.number);
  for (size_t rank = 0; rank < round.parts.size(); ++rank)
    text += (rank == 0 ? ": rank " : ", rank ") + std::to_string(rank) + " " + describe(round.parts[rank]);
  report(text);
  for (const auto& seat : world.ranks)
    if (const Comm comm = seat.lock()) comm->failure = ncclInvalidUsage;
}

// Other devices read and write this buffer directly where the hardware lets them.
void check_peers(const World& world, int device, const void* buffer, const char* call) {
  if (!buffer || pointer_device(buffer) < 0) return;
  const AllocationPtr allocation = held_at(buffer);
  for (const auto& seat : world.ranks) {
    const Comm other = seat.lock();
    if (!other || !may_reach(other->device, device)) continue;
    if (allocation && !may_access(*allocation, other->device))
      report(std::string("nccl: ") + call + ": cuda:" + std::to_string(other->device) + " has no access to " +
             sim::describe(buffer) + "; give it with cudaMemPoolSetAccess");
  }
}

// A rank called alone by a thread that drives others too: it would wait for what this thread never comes to call.
bool is_deadlock(const Comm& comm, const char* call) {
  if (is_grouped()) return false;
  for (const auto& seat : comm->world->ranks) {
    const Comm other = seat.lock();
    if (!other || other == comm || other->maker != comm->maker || other->calls >= comm->calls + 1) continue;
    report(std::string("nccl: deadlock: ") + call + " of rank " + std::to_string(comm->rank) + " waits for rank " +
           std::to_string(other->rank) +
           ", which the same thread drives; call it between ncclGroupStart and ncclGroupEnd");
    return true;
  }
  return false;
}

ncclResult_t collective(ncclComm_t handle, Part part) {
  Lock lock;
  const Comm comm = find(handle, part.call, true);
  if (!comm) return refuse(ncclInvalidArgument);
  if (const ncclResult_t status = planned_fault(comm->device); status != ncclSuccess) return refuse(status);
  const auto wrong = [&](const std::string& text) {
    report(std::string("nccl: ") + part.call + ": " + text);
    return refuse(ncclInvalidArgument);
  };
  const int device = stream_device(part.stream, part.call);
  if (device != comm->device)
    return wrong("a stream of cuda:" + std::to_string(device) + " for rank " + std::to_string(comm->rank) +
                 " on cuda:" + std::to_string(comm->device));
  if (part.root >= comm->world->size) return wrong("root " + std::to_string(part.root) + " is no rank");
  if (is_deadlock(comm, part.call)) return refuse(ncclInvalidUsage);
  if (send_bytes(part, comm->rank) > 0) check_peers(*comm->world, device, part.send, part.call);
  if (receive_bytes(part, comm->rank, 1) > 0) check_peers(*comm->world, device, part.receive, part.call);
  return in_group(comm, [comm, part] { meet(comm, part); });
}

}  // namespace

void meet(const Comm& comm, Part part) {
  World& world = *comm->world;
  const int64_t number = ++comm->calls;
  std::shared_ptr<Round>& round = world.rounds[number];
  if (!round) {
    round = std::make_shared<Round>();
    round->number = number;
    round->parts.resize(static_cast<size_t>(world.size));
  }
  part.here = true;
  part.lost = consult_fault(FaultKind::nccl_lost_peer, comm->device) != 0;
  part.late_ms = consult_fault(FaultKind::nccl_slow_peer, comm->device);
  round->parts[static_cast<size_t>(comm->rank)] = part;
  comm->to_queue.push_back(round);
  comm->questions = 1;
  if (!std::all_of(round->parts.begin(), round->parts.end(), [](const Part& p) { return p.here; })) return;
  check_agreement(world, *round);
  world.rounds.erase(number);
}

void check_presence(const Comm& comm) {
  if (!comm->world) return;
  for (const auto& [number, round] : comm->world->rounds)
    for (size_t rank = 0; rank < round->parts.size(); ++rank) {
      const Comm other = comm->world->ranks[rank].lock();
      if (round->parts[rank].here || !other || other->maker != std::this_thread::get_id()) continue;
      report("nccl: lost peer: collective #" + std::to_string(number) + " has no part of rank " + std::to_string(rank) +
             ", which the same thread drives; call it for all ranks in one group");
    }
}

void queue_parts(const Comm& comm) {
  const int before = current_device();
  set_current_device(comm->device);
  for (const std::shared_ptr<Round>& round : comm->to_queue) {
    const Part& part = round->parts[static_cast<size_t>(comm->rank)];
    const cudaError_t status = enqueue_when(
        part.stream, part.call, [comm, round] { return may_start(comm, *round); },
        [comm, round] { run(comm, *round); });
    if (status != cudaSuccess) comm->failure = ncclUnhandledCudaError;
  }
  comm->to_queue.clear();
  set_current_device(before);
}

}  // namespace nccl
}  // namespace weft::sim

using weft::sim::nccl::collective;

ncclResult_t ncclAllReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  return collective(comm, {.call = "ncclAllReduce",
                           .count = count,
                           .type = type,
                           .op = op,
                           .send = send,
                           .receive = receive,
                           .stream = stream});
}

ncclResult_t ncclBroadcast(const void* send, void* receive, size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return collective(comm, {.call = "ncclBroadcast",
                           .count = count,
                           .type = type,
                           .root = root,
                           .send = send,
                           .receive = receive,
                           .stream = stream});
}

ncclResult_t ncclReduce(const void* send, void* receive, size_t count, ncclDataType_t type, ncclRedOp_t op, int root,
                        ncclComm_t comm, cudaStream_t stream) {
  return collective(comm, {.call = "ncclReduce",
                           .count = count,
                           .type = type,
                           .op = op,
                           .root = root,
                           .send = send,
                           .receive = receive,
                           .stream = stream});
}

ncclResult_t ncclAllGather(const void* send, void* receive, size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  return collective(
      comm,
      {.call = "ncclAllGather", .count = count, .type = type, .send = send, .receive = receive, .stream = stream});
}
