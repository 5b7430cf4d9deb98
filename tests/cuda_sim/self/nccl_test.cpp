// The fake NCCL tested alone: what a caller may do wrong is reported, and what hardware may do wrong happens.
#include <doctest/doctest.h>
#include <nccl.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "sim.h"
#include "support.h"

namespace weft::sim {
namespace {

constexpr int n = 12;

// n floats of value rank + 1, and a stream, on each of `ranks` devices, and their communicators.
struct Ranks {
  explicit Ranks(int size, bool peers = true) {
    reset();
    for (int rank = 0; rank < size; ++rank) {
      (void)cudaSetDevice(rank);
      for (int peer = 0; peers && peer < size; ++peer)
        if (peer != rank) (void)cudaDeviceEnablePeerAccess(peer, 0);
      streams.push_back(make_stream());
      x.push_back(make_floats(n));
      y.push_back(make_floats(n * size));
      const std::vector<float> values(n, static_cast<float>(rank + 1));
      (void)cudaMemcpyAsync(x.back(), values.data(), n * sizeof(float), cudaMemcpyHostToDevice, streams.back());
    }
    ncclUniqueId id;
    CHECK(ncclGetUniqueId(&id) == ncclSuccess);
    comms.resize(static_cast<size_t>(size));
    (void)ncclGroupStart();
    for (int rank = 0; rank < size; ++rank) CHECK(init(rank, id, size, rank) == ncclSuccess);
    CHECK(ncclGroupEnd() == ncclInProgress);
  }
  // One that does not block.
  ncclResult_t init(int device, ncclUniqueId id, int size, int rank) {
    (void)cudaSetDevice(device);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    return ncclCommInitRankConfig(&comms[static_cast<size_t>(rank)], size, id, rank, &config);
  }
  // The state of a rank once it is no longer in progress, or still.
  ncclResult_t state(size_t rank, int questions = 10) {
    ncclResult_t result = ncclInProgress;
    for (int i = 0; i < questions && result == ncclInProgress; ++i)
      CHECK(ncclCommGetAsyncError(comms[rank], &result) == ncclSuccess);
    return result;
  }
  void await() {
    for (size_t rank = 0; rank < comms.size(); ++rank) CHECK(state(rank) == ncclSuccess);
  }
  ncclResult_t all_reduce(size_t rank, int count = n, ncclDataType_t type = ncclFloat) {
    return ncclAllReduce(x[rank], y[rank], static_cast<size_t>(count), type, ncclSum, comms[rank], streams[rank]);
  }
  void all_reduce_grouped() {
    (void)ncclGroupStart();
    for (size_t rank = 0; rank < comms.size(); ++rank) CHECK(all_reduce(rank) == ncclSuccess);
    CHECK(ncclGroupEnd() == ncclInProgress);
  }
  // The first element of what the rank received.
  float received(size_t rank) {
    (void)cudaSetDevice(static_cast<int>(rank));
    return fetch(y[rank], n, streams[rank])[0];
  }

  std::vector<cudaStream_t> streams;
  std::vector<float*> x, y;
  std::vector<ncclComm_t> comms;
};

// Two ranks whose calls in one group are `first` and `second`; the report.
template <class First, class Second>
std::string report_of(First first, Second second) {
  Ranks ranks(2);
  ranks.await();
  (void)ncclGroupStart();
  first(ranks);
  second(ranks);
  CHECK(ncclGroupEnd() == ncclInProgress);
  CHECK(ranks.state(0) == ncclInvalidUsage);
  return joined(take_reports());
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("nccl: a right collective is silent under every policy, and the same on all ranks") {
  for (const char* policy : policies) {
    CAPTURE(std::string(policy));
    set_schedule({.policy = policy, .seed = first_seed()});
    Ranks ranks(4);
    ranks.await();
    ranks.all_reduce_grouped();
    ranks.await();
    for (size_t rank = 0; rank < 4; ++rank) CHECK(ranks.received(rank) == 10);
    CHECK(joined(take_reports()).empty());
  }
  set_schedule({});
}

TEST_CASE("nccl: ranks that disagree") {
  const auto first = [](Ranks& r) { r.all_reduce(0); };
  CHECK(has(
      report_of(first, [](Ranks& r) { r.all_reduce(1, n - 1); }),
      "nccl: ranks disagree about collective #1: rank 0 ncclAllReduce float32[12], rank 1 ncclAllReduce float32[11]"));
  CHECK(has(report_of(first, [](Ranks& r) { r.all_reduce(1, n, ncclInt32); }), "rank 1 ncclAllReduce int32[12]"));
  CHECK(has(report_of(first,
                      [](Ranks& r) { ncclAllReduce(r.x[1], r.y[1], n, ncclFloat, ncclMax, r.comms[1], r.streams[1]); }),
            "rank 1 ncclAllReduce float32[12] with operator 2"));
  CHECK(has(report_of(first, [](Ranks& r) { ncclAllGather(r.x[1], r.y[1], n, ncclFloat, r.comms[1], r.streams[1]); }),
            "rank 1 ncclAllGather float32[12]"));
  const auto from = [](int root) {
    return [root](Ranks& r) {
      const auto rank = static_cast<size_t>(root);  // each takes itself for the root
      ncclBroadcast(r.x[rank], r.y[rank], n, ncclFloat, root, r.comms[rank], r.streams[rank]);
    };
  };
  CHECK(has(report_of(from(0), from(1)),
            "rank 0 ncclBroadcast float32[12] of root 0, rank 1 ncclBroadcast float32[12] of root 1"));
  const auto swapped = [](size_t rank) {
    return [rank](Ranks& r) {
      for (const bool reduces : {rank == 0, rank != 0}) {
        if (reduces)
          r.all_reduce(rank);
        else
          ncclAllGather(r.x[rank], r.y[rank], n, ncclFloat, r.comms[rank], r.streams[rank]);
      }
    };
  };
  CHECK(has(report_of(swapped(0), swapped(1)), "#1: rank 0 ncclAllReduce float32[12], rank 1 ncclAllGather"));
}

TEST_CASE("nccl: one thread that drives several ranks without a group is a deadlock") {
  Ranks ranks(2);
  ranks.await();
  CHECK(ranks.all_reduce(0) == ncclInvalidUsage);
  CHECK(has(joined(take_reports()), "nccl: deadlock: ncclAllReduce of rank 0 waits for rank 1"));
}

TEST_CASE("nccl: a call before the last one has come to its end") {
  Ranks ranks(2);
  CHECK(ranks.all_reduce(0) == ncclInvalidArgument);
  CHECK(has(joined(take_reports()), "ncclAllReduce: the communicator's last operation is still in progress"));
  ranks.await();
  ranks.all_reduce_grouped();
  CHECK(pending() == 2);  // the copies: nothing is on the streams yet
  CHECK(ranks.all_reduce(1) == ncclInvalidArgument);
  CHECK(has(joined(take_reports()), "is still in progress"));
  ranks.await();
}

TEST_CASE("nccl: streams, memory and handles that are not the rank's") {
  Ranks ranks(2, false);
  ranks.await();
  std::swap(ranks.streams[0], ranks.streams[1]);
  CHECK(ranks.all_reduce(0) == ncclInvalidArgument);
  CHECK(has(joined(take_reports()), "a stream of cuda:1 for rank 0 on cuda:0"));
  std::swap(ranks.streams[0], ranks.streams[1]);
  ranks.all_reduce_grouped();
  CHECK(has(joined(take_reports()), "ncclAllReduce: cuda:1 has no access to cuda:0 allocation"));
  ranks.await();
  CHECK(ncclCommAbort(ranks.comms[0]) == ncclSuccess);
  CHECK(ncclCommAbort(ranks.comms[0]) == ncclInvalidArgument);
  CHECK(has(joined(take_reports()), "ncclCommAbort: with a communicator that does not exist, or no longer"));
}

TEST_CASE("nccl: a rank that is there twice, another number of ranks, a rank that is none") {
  for (const int wrong : {0, 1, 2}) {
    Ranks ranks(1);
    ranks.comms.resize(3);
    ncclUniqueId id;
    (void)ncclGetUniqueId(&id);
    CHECK(ranks.init(0, id, 2, 0) == ncclInProgress);
    if (wrong == 0) ranks.comms[1] = nullptr;
    if (wrong == 2) {
      CHECK(ranks.init(1, id, 2, 2) == ncclInvalidArgument);
    } else {
      CHECK(ranks.init(wrong == 0 ? 0 : 1, id, wrong == 1 ? 3 : 2, 1) == ncclInProgress);
      CHECK(ranks.state(1) == (wrong == 0 ? ncclInvalidUsage : ncclInvalidArgument));
    }
    const std::string text = joined(take_reports());
    CHECK_MESSAGE(has(text, wrong == 0   ? "rank 1 on cuda:0 is there twice"
                            : wrong == 1 ? "rank 1 of 3, but others said 2 ranks"
                                         : "ncclCommInitRankConfig: rank 2 of 2"),
                  text);
    CHECK(ranks.state(0) == ncclInProgress);
  }
}

TEST_CASE("nccl: a lost peer keeps the others' streams until an abort; late ones come") {
  Ranks ranks(2);
  ranks.await();
  inject({.kind = FaultKind::nccl_slow_peer, .device = 0, .code = 20});
  ranks.all_reduce_grouped();
  ranks.await();
  run_all();
  CHECK(pending() == 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  run_all();
  CHECK(pending() == 0);
  CHECK(ranks.received(1) == 3);
  inject({.kind = FaultKind::nccl_lost_peer, .device = 1, .code = 1});
  ranks.all_reduce_grouped();
  ranks.await();
  run_all();
  CHECK(pending() == 2);
  for (const ncclComm_t comm : ranks.comms) CHECK(ncclCommAbort(comm) == ncclSuccess);
  run_all();
  CHECK(pending() == 0);
  CHECK(joined(take_reports()).empty());
}

TEST_CASE("nccl: an abort that hangs does so until the devices are reset") {
  Ranks ranks(1);
  ranks.await();
  inject({.kind = FaultKind::nccl_abort, .code = 1});
  std::thread thread([&] { CHECK(ncclCommAbort(ranks.comms[0]) == ncclInternalError); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(fired(FaultKind::nccl_abort) == 1);
  reset();
  thread.join();
}

namespace {

struct Row {
  const char* name;
  FaultKind kind;
  ncclResult_t (*call)(Ranks& r, ncclComm_t comm);
};

#define CALL(name, ...) \
  [](Ranks& r, ncclComm_t comm) { return static_cast<void>(r), static_cast<void>(comm), name(__VA_ARGS__); }
#define ROW(kind, name, ...) \
  Row { #name, FaultKind::kind, CALL(name, __VA_ARGS__) }

ncclUniqueId some_id = {};
ncclComm_t made = nullptr;
ncclResult_t state = ncclSuccess;
ncclConfig_t not_blocking = [] {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  return config;
}();

const Row rows[] = {
    ROW(nccl, ncclGroupStart),
    ROW(nccl, ncclGetUniqueId, &some_id),
    ROW(nccl, ncclCommInitRankConfig, &made, 1, some_id, 0, &not_blocking),
    ROW(nccl, ncclCommSplit, comm, 0, 0, &made, &not_blocking),
    ROW(nccl_async, ncclCommGetAsyncError, comm, &state),
    ROW(nccl, ncclAllReduce, r.x[0], r.y[0], n, ncclFloat, ncclSum, comm, r.streams[0]),
    ROW(nccl, ncclBroadcast, r.x[0], r.y[0], n, ncclFloat, 0, comm, r.streams[0]),
    ROW(nccl, ncclReduce, r.x[0], r.y[0], n, ncclFloat, ncclSum, 0, comm, r.streams[0]),
    ROW(nccl, ncclAllGather, r.x[0], r.y[0], n, ncclFloat, comm, r.streams[0]),
    ROW(release, ncclCommDestroy, comm),
};

}  // namespace

TEST_CASE("nccl: every entry point asks the plan of faults") {
  for (const Row& row : rows) {
    CAPTURE(std::string(row.name));
    Ranks ranks(1);
    ranks.await();
    (void)cudaSetDevice(0);
    state = ncclSuccess;
    inject({.kind = row.kind,
            .code = row.kind == FaultKind::release ? int{cudaErrorIllegalAddress} : int{ncclSystemError}});
    const ncclResult_t status = row.call(ranks, ranks.comms[0]);
    CHECK((status != ncclSuccess || state == ncclSystemError));
    CHECK(fired(row.kind) == 1);
    CHECK(take_reports().empty());
  }
  // The end of a group, and both ways to end a communicator before its time, which hang until the devices are reset.
  Ranks ranks(1);
  ranks.await();
  (void)ncclGroupStart();
  CHECK(ranks.all_reduce(0) == ncclSuccess);
  inject({.kind = FaultKind::nccl, .code = ncclSystemError});
  CHECK(ncclGroupEnd() == ncclSystemError);
  reset();
}

}  // namespace
}  // namespace weft::sim
