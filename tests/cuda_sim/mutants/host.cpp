#include "host.h"

#include <cuda_runtime_api.h>

#include "../sim.h"
#include "kernels.h"

namespace weft::sim::mutants {
namespace {

constexpr int n = 64;
constexpr size_t bytes = n * sizeof(float);

// A device that is current while the object lives, with a stream.
struct OnDevice {
  explicit OnDevice(int device = 0) : index(device) {
    (void)cudaGetDevice(&previous);
    (void)cudaSetDevice(device);
    (void)cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  }
  ~OnDevice() {
    (void)cudaSetDevice(index);
    (void)cudaStreamDestroy(stream);
    (void)cudaSetDevice(previous);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  int index;
  int previous = 0;
  cudaStream_t stream = nullptr;
};

float* allocate() {
  void* data = nullptr;
  (void)cudaMalloc(&data, bytes);
  return static_cast<float*>(data);
}

float* allocate(cudaStream_t stream) {
  void* data = nullptr;
  (void)cudaMallocAsync(&data, bytes, stream);
  return static_cast<float*>(data);
}

float* allocate_pinned() {
  void* data = nullptr;
  (void)cudaHostAlloc(&data, bytes, cudaHostAllocDefault);
  return static_cast<float*>(data);
}

void order(cudaStream_t before, cudaStream_t after) {
  cudaEvent_t event;
  (void)cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  (void)cudaEventRecord(event, before);
  (void)cudaStreamWaitEvent(after, event, 0);
  (void)cudaEventDestroy(event);
}

void another_devices_pointer(bool wrong) {
  OnDevice second(1);
  float* there = allocate();
  (void)set(there, n, 1, second.stream);
  (void)cudaStreamSynchronize(second.stream);
  OnDevice first(0);
  float* here = allocate();
  (void)cudaMemcpyPeerAsync(here, 0, there, 1, bytes, first.stream);
  (void)add_one(wrong ? there : here, here, n, first.stream);
  (void)cudaDeviceSynchronize();
}

void missing_event(bool wrong) {
  OnDevice producer, consumer;
  float *x = allocate(), *y = allocate();
  (void)cudaMemsetAsync(x, 0, bytes, consumer.stream);
  (void)cudaStreamSynchronize(consumer.stream);
  (void)set(x, n, 3, producer.stream);
  if (!wrong) order(producer.stream, consumer.stream);
  (void)add_one(x, y, n, consumer.stream);
  (void)cudaDeviceSynchronize();
}

// What one stream reads another overwrites.
void overwritten_while_read(bool wrong) {
  OnDevice reader, writer;
  float *x = allocate(), *y = allocate();
  (void)set(x, n, 3, reader.stream);
  order(reader.stream, writer.stream);
  (void)add_one(x, y, n, reader.stream);
  if (!wrong) order(reader.stream, writer.stream);
  (void)set(x, n, 4, writer.stream);
  (void)cudaDeviceSynchronize();
}

// A cache of blocks that hands one stream's block to another.
void block_reused_too_early(bool wrong) {
  OnDevice first, second;
  float *block = allocate(), *y = allocate();
  (void)set(block, n, 3, first.stream);
  (void)add_one(block, y, n, first.stream);
  if (!wrong) order(first.stream, second.stream);
  (void)set(block, n, 5, second.stream);
  (void)cudaDeviceSynchronize();
}

void freed_on_another_stream(bool wrong) {
  OnDevice user, owner;
  float *x = allocate(owner.stream), *y = allocate();
  (void)set(x, n, 3, owner.stream);
  order(owner.stream, user.stream);
  (void)add_one(x, y, n, user.stream);
  if (!wrong) order(user.stream, owner.stream);
  (void)cudaFreeAsync(x, owner.stream);
  (void)cudaDeviceSynchronize();
}

void used_before_allocated(bool wrong) {
  OnDevice user, owner;
  float* x = allocate(owner.stream);
  if (!wrong) order(owner.stream, user.stream);
  (void)set(x, n, 3, user.stream);
  (void)cudaDeviceSynchronize();
}

void used_after_free(bool wrong) {
  OnDevice device;
  float *x = allocate(device.stream), *y = allocate();
  (void)set(x, n, 3, device.stream);
  if (wrong) (void)cudaFreeAsync(x, device.stream);
  (void)add_one(x, y, n, device.stream);
  if (!wrong) (void)cudaFreeAsync(x, device.stream);
  (void)cudaDeviceSynchronize();
}

void freed_in_flight(bool wrong) {
  OnDevice device;
  float* x = allocate();
  (void)set(x, n, 3, device.stream);
  if (wrong) {
    run_all();  // the work has ended, but the host cannot know
  } else {
    (void)cudaStreamSynchronize(device.stream);
  }
  (void)cudaFree(x);
}

void double_free(bool wrong) {
  OnDevice device;
  float* x = allocate(device.stream);
  (void)cudaFreeAsync(x, device.stream);
  if (wrong) (void)cudaFreeAsync(x, device.stream);
}

void free_of_an_inner_address(bool wrong) {
  float* x = allocate();
  (void)cudaFree(wrong ? x + 16 : x);
}

void wrong_current_device(bool wrong) {
  OnDevice device(1);
  float* x = allocate();
  if (wrong) (void)cudaSetDevice(0);
  (void)set(x, n, 3, device.stream);
  (void)cudaStreamSynchronize(device.stream);
}

void event_of_another_device(bool wrong) {
  cudaEvent_t event;
  (void)cudaSetDevice(wrong ? 1 : 0);
  (void)cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  (void)cudaSetDevice(0);
  OnDevice device(0);
  (void)cudaEventRecord(event, device.stream);
  (void)cudaStreamSynchronize(device.stream);
}

void refilled_pinned_buffer(bool wrong) {
  OnDevice device;
  float *host = allocate_pinned(), *x = allocate();
  for (int step = 0; step < 2; ++step) {
    for (int i = 0; i < n; ++i) host[i] = static_cast<float>(step);
    (void)cudaMemcpyAsync(x, host, bytes, cudaMemcpyHostToDevice, device.stream);
    if (!wrong) (void)cudaStreamSynchronize(device.stream);
  }
  (void)cudaStreamSynchronize(device.stream);
}

// Two streams copy into one pinned buffer.
void pinned_buffer_shared(bool wrong) {
  OnDevice first, second;
  float *host = allocate_pinned(), *x = allocate();
  (void)set(x, n, 3, first.stream);
  order(first.stream, second.stream);
  (void)cudaMemcpyAsync(host, x, bytes, cudaMemcpyDeviceToHost, first.stream);
  if (!wrong) order(first.stream, second.stream);
  (void)cudaMemcpyAsync(host, x, bytes, cudaMemcpyDeviceToHost, second.stream);
  (void)cudaDeviceSynchronize();
}

void default_stream(bool wrong) {
  OnDevice device;
  float* x = allocate();
  (void)set(x, n, 3, wrong ? nullptr : device.stream);
  (void)cudaStreamSynchronize(device.stream);
}

void destroyed_stream(bool wrong) {
  cudaStream_t stream;
  (void)cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  if (wrong) (void)cudaStreamDestroy(stream);
  (void)cudaStreamSynchronize(stream);
}

void copy_past_the_end(bool wrong) {
  OnDevice device;
  float *x = allocate(), *y = allocate();
  (void)set(x, n, 3, device.stream);
  (void)cudaMemcpyAsync(y, x, wrong ? bytes + 4 : bytes, cudaMemcpyDeviceToDevice, device.stream);
  (void)cudaStreamSynchronize(device.stream);
}

void copy_of_unknown_bytes(bool wrong) {
  OnDevice device;
  float host[n];
  float* x = allocate();
  (void)set(x, wrong ? n - 1 : n, 3, device.stream);
  (void)cudaMemcpyAsync(host, x, bytes, cudaMemcpyDeviceToHost, device.stream);
}

void wrong_kind_of_copy(bool wrong) {
  OnDevice device;
  float host[n] = {};
  float* x = allocate();
  (void)cudaMemcpyAsync(x, host, bytes, wrong ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice, device.stream);
  (void)cudaStreamSynchronize(device.stream);
}

// cudaMemcpy goes through the default stream, which non-blocking streams do not wait for.
void copy_without_waiting(bool wrong) {
  OnDevice device;
  float host[n];
  float* x = allocate();
  (void)set(x, n, 3, device.stream);
  if (wrong) {
    run_all();
  } else {
    (void)cudaStreamSynchronize(device.stream);
  }
  (void)cudaMemcpy(host, x, bytes, cudaMemcpyDeviceToHost);
}

void pool_destroyed_in_use(bool wrong) {
  OnDevice device;
  cudaMemPoolProps props = {};
  props.allocType = cudaMemAllocationTypePinned;
  props.location = {cudaMemLocationTypeDevice, 0};
  cudaMemPool_t pool;
  (void)cudaMemPoolCreate(&pool, &props);
  void* x = nullptr;
  (void)cudaMallocFromPoolAsync(&x, bytes, pool, device.stream);
  if (!wrong) (void)cudaFreeAsync(x, device.stream);
  (void)cudaStreamSynchronize(device.stream);
  (void)cudaMemPoolDestroy(pool);
}

// A library that reads one row more than there is.
void library_past_the_end(bool wrong) {
  OnDevice device;
  float* x = allocate();
  (void)set(x, n, 1, device.stream);
  (void)enqueue(device.stream, "gemm", [=] { check_rows(x, wrong ? 5 : 4, 64, 64, Access::read, "gemm"); });
  (void)cudaStreamSynchronize(device.stream);
}

}  // namespace

const std::vector<HostCase>& host_cases() {
  static const std::vector<HostCase> cases = {
      {"another device's pointer", another_devices_pointer, {"another device's pointer: add_one_kernel"}},
      {"missing event", missing_event, {"no order between operations: "}},
      {"overwritten while read", overwritten_while_read, {"no order between operations: "}},
      {"block reused too early", block_reused_too_early, {"no order between operations: "}},
      {"freed on another stream", freed_on_another_stream, {"no order between operations: ", "which has been freed"}},
      {"used before allocated", used_before_allocated, {"cudaMallocAsync", "is not allocated yet"}},
      {"used after free", used_after_free, {"which has been freed"}},
      {"freed in flight", freed_in_flight, {"cudaFree by the host frees "}},
      {"double free", double_free, {"a double free"}},
      {"free of an inner address", free_of_an_inner_address, {"an address inside an allocation"}},
      {"wrong current device", wrong_current_device, {"while the current device is cuda:0"}},
      {"event of another device", event_of_another_device, {"an event of cuda:1 on a stream of cuda:0"}},
      {"refilled pinned buffer", refilled_pinned_buffer, {"was changed by the host between the call and the copy"}},
      {"pinned buffer shared", pinned_buffer_shared, {"no order between operations: cudaMemcpyAsync"}},
      {"default stream", default_stream, {"on the default stream"}},
      {"destroyed stream", destroyed_stream, {"a stream that does not exist, or no longer"}},
      {"copy past the end", copy_past_the_end, {"out of bounds: cudaMemcpyAsync"}},
      {"copy of unknown bytes", copy_of_unknown_bytes, {"uninitialised read: cudaMemcpyAsync"}},
      {"wrong kind of copy", wrong_kind_of_copy, {"the kind of copy does not fit"}},
      {"copy without waiting", copy_without_waiting, {"no order between operations: cudaMemcpy by the host"}},
      {"pool destroyed in use", pool_destroyed_in_use, {"are still allocated"}},
      {"library past the end", library_past_the_end, {"out of bounds: gemm"}},
  };
  return cases;
}

}  // namespace weft::sim::mutants
