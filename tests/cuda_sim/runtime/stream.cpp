// Streams, events, waiting.
#include "../streams/stream.h"

#include <algorithm>

#include "../memory/pool.h"
#include "../reports.h"
#include "status.h"

namespace weft::sim {

int stream_device(cudaStream_t handle, const char* who) {
  Lock lock;
  const Stream* stream = find_stream(handle, who);
  return stream ? stream->device : -1;
}

cudaError_t enqueue_when(cudaStream_t handle, std::string name, std::function<bool()> ready,
                         std::function<void()> run) {
  return entry([&] {
    Stream* stream = stream_for_work(handle, name.c_str());
    if (!stream) return cudaErrorInvalidResourceHandle;
    const Kind kind = ready ? Kind::meeting : Kind::work;
    issue(*stream, {.name = std::move(name), .run = std::move(run), .ready = std::move(ready), .kind = kind});
    return cudaSuccess;
  });
}

cudaError_t enqueue(cudaStream_t stream, std::string name, std::function<void()> run) {
  return enqueue_when(stream, std::move(name), nullptr, std::move(run));
}

}  // namespace weft::sim

using namespace weft::sim;

namespace {

cudaError_t make_stream(cudaStream_t* handle, unsigned flags) {
  return entry(FaultKind::setup, [&] {
    *handle = reinterpret_cast<cudaStream_t>(create_stream(current_device(), (flags & cudaStreamNonBlocking) == 0));
    return cudaSuccess;
  });
}

// Calls work(stream) for a live stream of any device, unless the plan wants the call to fail, and lets the stream's own
// device answer for what ran.
template <class Work>
cudaError_t with_stream(cudaStream_t handle, const char* who, FaultKind kind, Work work) {
  return entry([&] {
    Stream* stream = find_stream(handle, who);
    if (!stream) return cudaErrorInvalidResourceHandle;
    const int device = stream->device;
    const auto code = planned_fault(kind, device);
    const cudaError_t status = code ? *code : work(*stream);
    return sticky_error(device) != cudaSuccess ? sticky_error(device) : status;
  });
}

template <class Work>
cudaError_t with_event(cudaEvent_t handle, const char* who, FaultKind kind, Work work) {
  return entry([&] {
    Event* event = find_event(handle, who);
    if (!event) return cudaErrorInvalidResourceHandle;
    const int device = event->device;
    const auto code = planned_fault(kind, device);
    const cudaError_t status = code ? *code : work(*event);
    return sticky_error(device) != cudaSuccess ? sticky_error(device) : status;
  });
}

cudaError_t wait_until_idle(const std::function<bool(const Stream&)>& belongs, const char* who) {
  const bool ended = run_until_idle(belongs, who);
  trim_to_thresholds();
  return ended ? cudaSuccess : cudaErrorUnknown;
}

// Asking lets the hardware do a little, so that a loop of questions ends; more from question to question, as a loop
// would by itself.
template <class Done>
void do_a_little(Done done) {
  static int steps = 1;
  for (int i = 0; i < steps && !done() && step(); ++i) {
  }
  close_arenas();
  steps = done() ? 1 : std::min(2 * steps, 256);
}

}  // namespace

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return make_stream(stream, cudaStreamDefault); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) { return make_stream(stream, flags); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return make_stream(stream, flags);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return entry(FaultKind::query, [&] {
    *least = 0;
    *greatest = -5;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return with_stream(handle, "cudaStreamDestroy", FaultKind::release, [&](Stream& stream) {
    destroy_stream(&stream);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return with_stream(handle, "cudaStreamSynchronize", FaultKind::wait, [&](Stream& stream) {
    return wait_until_idle([&](const Stream& other) { return &other == &stream; }, "cudaStreamSynchronize");
  });
}

cudaError_t cudaDeviceSynchronize() {
  return entry(FaultKind::wait, [&] {
    const int device = current_device();
    return wait_until_idle([&](const Stream& stream) { return stream.device == device; }, "cudaDeviceSynchronize");
  });
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  return with_stream(handle, "cudaStreamQuery", FaultKind::query, [&](Stream& stream) {
    do_a_little([&] { return stream.queue.empty(); });
    if (!stream.queue.empty()) return cudaErrorNotReady;
    host_knows(stream.clock);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned) {
  return with_stream(handle, "cudaStreamWaitEvent", FaultKind::event, [&](Stream& stream) {
    Event* event = find_event(event_handle, "cudaStreamWaitEvent");
    if (!event) return cudaErrorInvalidResourceHandle;
    if (event->last) wait_for_point(stream, event->last);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
  return with_stream(handle, "cudaStreamGetFlags", FaultKind::query, [&](Stream& stream) {
    *flags = stream.blocking ? cudaStreamDefault : cudaStreamNonBlocking;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  return with_stream(handle, "cudaStreamIsCapturing", FaultKind::query, [&](Stream&) {
    *status = cudaStreamCaptureStatusNone;
    return cudaSuccess;
  });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
  return entry([&] {
    Stream* stream = stream_for_work(handle, "cudaLaunchHostFunc");
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (auto code = planned_fault(FaultKind::launch, stream->device)) return *code;
    issue(*stream, {.name = "a host function", .run = [=] { function(data); }, .kind = Kind::host_function});
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* handle, unsigned flags) {
  return entry(FaultKind::event, [&] {
    *handle = reinterpret_cast<cudaEvent_t>(create_event(current_device(), (flags & cudaEventDisableTiming) == 0));
    return cudaSuccess;
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* handle) { return cudaEventCreateWithFlags(handle, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
  return with_event(handle, "cudaEventDestroy", FaultKind::release, [&](Event& event) {
    event.destroyed = true;
    event.last = nullptr;
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle) {
  return with_event(handle, "cudaEventRecord", FaultKind::event, [&](Event& event) {
    Stream* stream = stream_for_work(stream_handle, "cudaEventRecord");
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream->device != event.device) {
      report("cudaEventRecord: an event of cuda:" + std::to_string(event.device) + " on a stream of cuda:" +
             std::to_string(stream->device) + "; create it while the stream's device is the current one");
      return cudaErrorInvalidResourceHandle;
    }
    event.last = record_point(*stream);
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  return with_event(handle, "cudaEventSynchronize", FaultKind::wait, [&](Event& event) {
    const RecordPointPtr point = event.last;
    if (!point) return cudaSuccess;
    if (!run_until([&] { return point->done; }, "cudaEventSynchronize")) return cudaErrorUnknown;
    host_knows(point->clock);
    trim_to_thresholds();
    return cudaSuccess;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  return with_event(handle, "cudaEventQuery", FaultKind::query, [&](Event& event) {
    const RecordPointPtr point = event.last;
    if (!point) return cudaSuccess;
    do_a_little([&] { return point->done; });
    if (!point->done) return cudaErrorNotReady;
    host_knows(point->clock);
    return cudaSuccess;
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start_handle, cudaEvent_t end_handle) {
  return with_event(start_handle, "cudaEventElapsedTime", FaultKind::query, [&](Event& start) {
    Event* end = find_event(end_handle, "cudaEventElapsedTime");
    if (!end || start.device != end->device || !start.timing || !end->timing || !start.last || !end->last) {
      return cudaErrorInvalidResourceHandle;
    }
    if (!start.last->done || !end->last->done) return cudaErrorNotReady;
    *milliseconds = static_cast<float>((end->last->seconds - start.last->seconds) * 1e3);
    return cudaSuccess;
  });
}
