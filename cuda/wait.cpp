#include "weft/cuda/wait.h"

#include <atomic>
#include <thread>

namespace weft::cuda {

namespace {

constinit std::atomic<CollectiveWatch*> watch{nullptr};

template <class Ask, class Block>
cudaError_t wait_with(int device, const Ask& ask, const Block& block) {
  CollectiveWatch* const collectives = collective_watch();
  if (!collectives) return block();
  const WaitClock::time_point began = WaitClock::now();
  Patience patience;
  while (collectives->is_busy(-1)) {  // of whatever device: streams wait for each other
    const cudaError_t status = ask();
    if (status != cudaErrorNotReady) {
      if (status == cudaSuccess) collectives->deliver(device);
      return status;
    }
    static_cast<void>(cudaGetLastError());
    collectives->look(device, began);
    patience.wait();
  }
  const cudaError_t status = block();
  if (status == cudaSuccess) collectives->deliver(device);
  return status;
}

}  // namespace

void set_collective_watch(CollectiveWatch* next) noexcept { watch.store(next, std::memory_order_release); }
CollectiveWatch* collective_watch() noexcept { return watch.load(std::memory_order_acquire); }

void Patience::wait() {
  constexpr int quick = 200;
  if (questions_++ < quick)
    std::this_thread::yield();
  else
    std::this_thread::sleep_for(std::chrono::microseconds(50));
}

cudaError_t wait_for(cudaStream_t stream, int device) {
  return wait_with(
      device, [&] { return cudaStreamQuery(stream); }, [&] { return cudaStreamSynchronize(stream); });
}

cudaError_t wait_for(cudaEvent_t event, int device) {
  return wait_with(
      device, [&] { return cudaEventQuery(event); }, [&] { return cudaEventSynchronize(event); });
}

void wait_for_collectives(int device) {
  CollectiveWatch* const collectives = collective_watch();
  if (!collectives) return;
  const WaitClock::time_point began = WaitClock::now();
  Patience patience;
  while (collectives->is_busy(device)) {
    collectives->look(device, began);
    patience.wait();
  }
}

}  // namespace weft::cuda
