// Whatever ends a collective, the error says what its devices did last.
#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "tests/cuda_sim/message.h"
#include "tests/cuda_sim/operand.h"
#include "tests/cuda_sim/sim.h"
#include "weft/cuda/nccl_cliques.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/creation.h"

using namespace weft;
using namespace weft::test;

namespace {

const Device cuda0("cuda:0"), cuda1("cuda:1");
const std::string history =
    "; the last operations on cuda:0, cuda:1, newest first: all_reduce #2 float32[6], all_reduce #1 float32[6]";

// Two devices in a fresh process.
struct Two {
  Tensors x, y;
  std::vector<Stream> streams;

  Two() {
    fresh_devices();
    for (const Device device : {cuda0, cuda1}) {
      x.push_back(ones({6}, {.device = device}));
      y.push_back(zeros({6}, {.device = device}));
      streams.push_back(current_stream(device));
    }
  }
  ~Two() {
    x.clear(), y.clear();
    sim::run_all();
    sim::take_reports();  // a collective that lacks a part, as these cases want it
    fresh_devices();
  }
  Two(const Two&) = delete;
  Two& operator=(const Two&) = delete;

  ncclResult_t part(size_t rank, ncclComm_t comm, cudaStream_t stream) const {
    return ncclAllReduce(x[rank].raw(), y[rank].raw(), 6, ncclFloat32, ncclSum, comm, stream);
  }
  template <class Launcher>
  void launch(Launcher launcher) const {
    launcher(cuda::Clique::What{"all_reduce", "float32[6]", 24}, streams,
             [&](size_t rank, ncclComm_t comm, cudaStream_t stream) { return part(rank, comm, stream); });
  }
};

// What comes of a second collective in which rank 1 does as `fails` says.
template <class E>
std::string second(const Two& two, const std::function<ncclResult_t(ncclComm_t, cudaStream_t)>& fails) {
  cuda::Cliques& cliques = cuda::Cliques::instance();
  const cuda::Clique::What what{"all_reduce", "float32[6]", 24};
  cliques.launch({0, 1}, what, two.streams,
                 [&](size_t rank, ncclComm_t comm, cudaStream_t stream) { return two.part(rank, comm, stream); });
  return message_of<E>([&] {
    cliques.launch({0, 1}, what, two.streams, [&](size_t rank, ncclComm_t comm, cudaStream_t stream) {
      return rank == 0 ? two.part(rank, comm, stream) : fails(comm, stream);
    });
  });
}

}  // namespace

TEST_SUITE("cuda_sim/nccl_errors") {
  TEST_CASE("memory runs out within a collective") {
    const Two two;
    const std::string text = second<OutOfMemory>(two, [](ncclComm_t, cudaStream_t) {
      void* data = nullptr;
      return cudaMalloc(&data, size_t{1} << 40) == cudaErrorMemoryAllocation ? ncclUnhandledCudaError : ncclSuccess;
    });
    CHECK_MESSAGE(has(text, "all_reduce #2 float32[6]: NCCL is out of memory on cuda:1; "), text);
    CHECK_MESSAGE(has(text, history), text);
  }

  TEST_CASE("a device is lost within a collective") {
    const Two two;
    const std::string text = second<DeviceLost>(two, [](ncclComm_t, cudaStream_t stream) {
      sim::inject({.kind = sim::FaultKind::device_lost, .device = 1, .code = cudaErrorECCUncorrectable});
      return cudaStreamQuery(stream) == cudaErrorECCUncorrectable ? ncclUnhandledCudaError : ncclSuccess;
    });
    CHECK_MESSAGE(has(text, "all_reduce #2 float32[6]: cuda:1 is lost: CUDA error 214 ("), text);
    CHECK_MESSAGE(has(text, "its last operations, newest first: all_reduce, all_reduce"), text);
    CHECK_MESSAGE(has(text, history), text);
  }

  TEST_CASE("an event cannot be recorded behind a collective") {
    const Two two;
    const std::string text = second<Error>(two, [&](ncclComm_t comm, cudaStream_t stream) {
      sim::inject({.kind = sim::FaultKind::event, .device = 1, .code = cudaErrorUnknown});
      return two.part(1, comm, stream);
    });
    CHECK_MESSAGE(has(text, history), text);
  }

  TEST_CASE("a group cannot be begun to abort the communicators of a collective that failed") {
    const Two two;
    sim::clear_faults();
    const std::string text = second<CommError>(two, [](ncclComm_t, cudaStream_t) {
      sim::inject(
          {.kind = sim::FaultKind::nccl, .device = 0, .nth = 1, .code = ncclSystemError});  // after the end of this
      return ncclInternalError;
    });
    CHECK_MESSAGE(has(text, "all_reduce #2 float32[6]: NCCL failed on cuda:1 with 3 (internal error)" + history), text);
    CHECK(sim::fired(sim::FaultKind::nccl) == 1);
    sim::run_all();
    for (const std::string& report : sim::take_reports()) CHECK_MESSAGE(!has(report, "ncclGroupEnd"), report);
  }

  TEST_CASE("another thread gave the communicator up") {
    const Two two;
    cuda::Clique clique({0, 1});
    const auto launch = [&] { two.launch([&](const auto&... arguments) { clique.launch(arguments...); }); };
    launch();
    for (const Device device : {cuda0, cuda1}) synchronize(device);
    CHECK(
        has(clique.give_up("planted"), "planted; the last operations on cuda:0, cuda:1, newest first: all_reduce #1"));
    const std::string text = message_of<CommError>(launch);
    CHECK_MESSAGE(
        has(text, "all_reduce #2 float32[6]: another thread gave the communicator up; run the step again" + history),
        text);
  }
}
