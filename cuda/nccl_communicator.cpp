#include "weft/cuda/nccl_communicator.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "weft/cuda/nccl_cliques.h"
#include "weft/tensor/collective.h"

namespace weft::cuda {

namespace {

size_t count_of(const Tensor& x) { return static_cast<size_t>(x.numel()); }

// The sum of bools is their disjunction.
ncclRedOp_t sum_of(DType dtype) { return dtype == DType::boolean ? ncclMax : ncclSum; }

// The ranks of a call: devices, and the stream of each that this thread queues work on.
struct Ranks {
  std::vector<int> devices;
  std::vector<Stream> streams;

  explicit Ranks(std::span<const Tensor> x) {
    for (const Tensor& t : x) {
      devices.push_back(t.device().index);
      streams.push_back(current_stream(t.device()));
    }
  }
  size_t root(Device device) const {
    return static_cast<size_t>(std::find(devices.begin(), devices.end(), device.index) - devices.begin());
  }
  // Memory of other streams is not given back before these have used it.
  void use(std::span<const Tensor> tensors) const {
    for (const Tensor& t : tensors) t.storage().record_stream(streams[root(t.device())]);
  }
};

Clique::What what(const char* operation, const Tensor& x) {
  return {operation, weft::detail::concat(x.dtype(), x.shape()), x.numel() * size_of(x.dtype())};
}

class NcclCommunicator final : public Communicator {
 public:
  bool all_reduce(std::span<const Tensor> x, std::span<Tensor> y) override {
    if (x[0].numel() == 0) return false;
    const Ranks ranks(x);
    const DType dtype = x[0].dtype();
    ranks.use(x);
    cliques_.launch(ranks.devices, what("all_reduce", x[0]), ranks.streams,
                    [&](size_t rank, ncclComm_t comm, cudaStream_t stream) {
                      return ncclAllReduce(x[rank].raw(), y[rank].raw(), count_of(x[rank]), nccl_type(dtype),
                                           sum_of(dtype), comm, stream);
                    });
    return true;
  }

  bool broadcast(const Tensor& x, std::span<Tensor> y) override {
    if (x.numel() == 0) return false;
    const Ranks ranks(y);
    const size_t root = ranks.root(x.device());
    ranks.use({&x, 1});
    cliques_.launch(ranks.devices, what("broadcast", x), ranks.streams,
                    [&](size_t rank, ncclComm_t comm, cudaStream_t stream) {
                      return ncclBroadcast(rank == root ? x.raw() : y[rank].raw(), y[rank].raw(), count_of(x),
                                           nccl_type(x.dtype()), static_cast<int>(root), comm, stream);
                    });
    return true;
  }

  bool reduce(std::span<const Tensor> x, Tensor& y) override {
    if (y.numel() == 0) return false;
    const Ranks ranks(x);
    const size_t root = ranks.root(y.device());
    ranks.use(x);
    cliques_.launch(ranks.devices, what("reduce", y), ranks.streams,
                    [&](size_t rank, ncclComm_t comm, cudaStream_t stream) {
                      return ncclReduce(x[rank].raw(), rank == root ? y.raw() : nullptr, count_of(y),
                                        nccl_type(y.dtype()), sum_of(y.dtype()), static_cast<int>(root), comm, stream);
                    });
    return true;
  }

  bool all_gather(std::span<const Tensor> x, std::span<Tensor> y) override {
    if (y[0].numel() == 0) return false;
    const Ranks ranks(x);
    const bool even = std::all_of(x.begin(), x.end(), [&](const Tensor& t) { return t.numel() == x[0].numel(); });
    ranks.use(x);
    const auto evenly = [&](size_t rank, ncclComm_t comm, cudaStream_t stream) {
      return ncclAllGather(x[rank].raw(), y[rank].raw(), count_of(x[rank]), nccl_type(x[rank].dtype()), comm, stream);
    };
    // NCCL gathers equal parts only: each rank's part is broadcast, all in one group.
    const auto one_by_one = [&](size_t rank, ncclComm_t comm, cudaStream_t stream) {
      auto* to = static_cast<char*>(y[rank].raw());
      for (size_t root = 0; root < x.size(); ++root) {
        if (x[root].numel() == 0) continue;
        const ncclResult_t status = ncclBroadcast(rank == root ? x[root].raw() : to, to, count_of(x[root]),
                                                  nccl_type(x[root].dtype()), static_cast<int>(root), comm, stream);
        if (status != ncclSuccess && status != ncclInProgress) return status;
        to += x[root].numel() * size_of(x[root].dtype());
      }
      return ncclSuccess;
    };
    const Clique::What whole = what("all_gather", y[0]);
    if (even)
      cliques_.launch(ranks.devices, whole, ranks.streams, evenly);
    else
      cliques_.launch(ranks.devices, whole, ranks.streams, one_by_one);
    return true;
  }

  void finish(std::span<const Device> devices) override {
    std::vector<int> indices;
    for (const Device device : devices) indices.push_back(device.index);
    cliques_.finish(indices);
  }

 private:
  Cliques& cliques_ = Cliques::instance();
};

}  // namespace

void register_nccl() {
  const char* choice = std::getenv("WEFT_NCCL");
  if (choice && std::strcmp(choice, "0") == 0) return;
  static auto& communicator = *new NcclCommunicator;  // never destroyed, as the backend
  register_communicator(DeviceType::cuda, &communicator);
  set_collective_watch(&Cliques::instance());
}

}  // namespace weft::cuda
