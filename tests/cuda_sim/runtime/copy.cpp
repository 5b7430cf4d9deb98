// Copies and fills. Page-locked host memory is read and written when the operation runs; pageable memory, as on
// hardware, is read when the call is made, and a copy into it ends before the call returns.
#include <cstring>
#include <memory>
#include <string_view>

#include "../memory/pinned.h"
#include "../memory/region.h"
#include "../memory/shadow.h"
#include "../memory/touch.h"
#include "../reports.h"
#include "../streams/stream.h"
#include "status.h"

using namespace weft::sim;

namespace {

struct Copy {
  char* to = nullptr;
  size_t to_pitch = 0;
  const char* from = nullptr;
  size_t from_pitch = 0;
  size_t row_bytes = 0;
  size_t rows = 1;
};

bool is_device(const void* pointer) { return pointer_device(pointer) >= 0; }
bool is_pageable(const void* pointer) { return !is_device(pointer) && !is_page_locked(pointer); }

bool kind_fits(const Copy& copy, cudaMemcpyKind kind, const char* who) {
  const cudaMemcpyKind real = is_device(copy.to)
                                  ? (is_device(copy.from) ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice)
                                  : (is_device(copy.from) ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost);
  if (kind == cudaMemcpyDefault || kind == real) return true;
  report(std::string(who) + ": the kind of copy does not fit a destination in " + describe(copy.to) +
         " and a source in " + describe(copy.from) + "; pass cudaMemcpyDefault");
  return false;
}

bool touch_side(const char* pointer, size_t bytes, Access access, bool initialised, const char* who) {
  if (is_pageable(pointer)) return true;
  const int owner = pointer_device(pointer);
  if (owner >= 0 && sticky_error(owner) != cudaSuccess) return false;  // what lies there is lost, and nobody's fault
  if (owner >= 0) open_arena(owner);
  return touch(pointer, bytes, access, initialised, who, owner);
}

void copy_row(char* to, const char* from, size_t bytes, const char* who) {
  if (!touch_side(from, bytes, Access::read, !is_device(to), who)) return;
  // Unknown bytes stay unknown on another device; the states go where the bytes go.
  const size_t source = region_offset(from);
  const bool known = source >= region_bytes;
  std::vector<uint8_t> source_states(known ? 0 : bytes);
  if (!known) std::memcpy(source_states.data(), states + source, bytes);
  if (!touch_side(to, bytes, Access::write, false, who)) return;
  std::memcpy(to, from, bytes);
  if (!known && is_device(to)) std::memcpy(states + region_offset(to), source_states.data(), bytes);
}

void run_copy(const Copy& copy, const char* who) {
  for (size_t row = 0; row < copy.rows; ++row) {
    copy_row(copy.to + row * copy.to_pitch, copy.from + row * copy.from_pitch, copy.row_bytes, who);
  }
}

size_t span(size_t pitch, const Copy& copy) { return (copy.rows - 1) * pitch + copy.row_bytes; }

// What must outlive the call: a copy of pageable memory, or what pinned memory held, to see whether it changed
// meanwhile.
struct Source {
  std::vector<char> staged;
  size_t seen = 0;
  uint32_t runs = 0;
};

size_t hash(const char* begin, size_t bytes) { return std::hash<std::string_view>()({begin, bytes}); }

void check_unchanged(const Copy& copy, const Source& source, const char* who) {
  const size_t bytes = span(copy.from_pitch, copy);
  const size_t offset = region_offset(copy.from);
  if (hash(copy.from, bytes) == source.seen || written_since(source.runs, offset, bytes)) return;
  report(std::string(who) + ": its source, " + describe(copy.from) +
         ", was changed by the host between the call and the copy; wait for the copy first");
}

// Sources of which the simulator knows who writes them.
bool is_watched(const char* pointer) {
  const size_t offset = region_offset(pointer);
  return offset < region_bytes && area_of(offset) == pinned_area;
}

void queue_copy(Copy copy, Stream& stream, const char* who) {
  auto source = std::make_shared<Source>();
  const size_t bytes = span(copy.from_pitch, copy);
  if (is_pageable(copy.from)) {
    source->staged.assign(copy.from, copy.from + bytes);
  } else if (is_watched(copy.from)) {
    source->seen = hash(copy.from, bytes);
    source->runs = runs_so_far();
  }
  issue(stream, {.name = who, .run = [copy, source, who]() mutable {
                   if (!source->staged.empty()) copy.from = source->staged.data();
                   if (is_watched(copy.from)) check_unchanged(copy, *source, who);
                   run_copy(copy, who);
                 }});
}

cudaError_t copy_async(const Copy& copy, cudaMemcpyKind kind, cudaStream_t handle, const char* who) {
  return entry([&] {
    Stream* stream = stream_for_work(handle, who);
    if (!stream) return cudaErrorInvalidResourceHandle;
    const auto fault = planned_for_later(FaultKind::copy, stream->device);
    if (fault && !is_sticky(*fault)) return *fault;
    if (copy.row_bytes == 0 || copy.rows == 0) return cudaSuccess;
    if (!copy.to || !copy.from) return cudaErrorInvalidValue;
    if (!kind_fits(copy, kind, who)) return cudaErrorInvalidMemcpyDirection;
    if (fault) issue(*stream, {.name = who, .run = [code = *fault] { lose_device(running.device, code); }});
    queue_copy(copy, *stream, who);
    if (!is_pageable(copy.to)) return cudaSuccess;
    run_until_idle([&](const Stream& other) { return &other == stream; }, who);
    return sticky_error(stream->device);
  });
}

// Through the legacy default stream: after what blocking streams have queued, and not in order with any other stream.
cudaError_t copy_now(const Copy& copy, cudaMemcpyKind kind, const char* who) {
  return entry([&] {
    if (auto code = planned_fault(FaultKind::copy, current_device())) return *code;
    if (copy.row_bytes == 0 || copy.rows == 0) return cudaSuccess;
    if (!copy.to || !copy.from) return cudaErrorInvalidValue;
    if (!kind_fits(copy, kind, who)) return cudaErrorInvalidMemcpyDirection;
    run_until_idle([&](const Stream& other) { return other.blocking && other.device == current_device(); }, who);
    run_on_host(who, [&] { run_copy(copy, who); });
    close_arenas();
    return sticky_error(current_device());
  });
}

Copy flat(void* to, const void* from, size_t bytes) {
  return {static_cast<char*>(to), bytes, static_cast<const char*>(from), bytes, bytes, 1};
}

cudaError_t fill(void* pointer, int value, size_t bytes, const char* who) {
  if (touch_side(static_cast<char*>(pointer), bytes, Access::write, false, who)) std::memset(pointer, value, bytes);
  return sticky_error(running.device);
}

}  // namespace

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return copy_async(flat(to, from, bytes), kind, stream, "cudaMemcpyAsync");
}

cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, size_t bytes,
                                cudaStream_t stream) {
  {
    Lock lock;
    if (bytes != 0 && (pointer_device(to) != to_device || pointer_device(from) != from_device)) {
      report("cudaMemcpyPeerAsync: the devices given, cuda:" + std::to_string(to_device) + " and cuda:" +
             std::to_string(from_device) + ", are not those of " + describe(to) + " and " + describe(from));
      return remember(cudaErrorInvalidValue);
    }
  }
  return copy_async(flat(to, from, bytes), cudaMemcpyDeviceToDevice, stream, "cudaMemcpyPeerAsync");
}

cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  if (width > to_pitch || width > from_pitch) return remember(cudaErrorInvalidPitchValue);
  const Copy copy = {static_cast<char*>(to), to_pitch, static_cast<const char*>(from), from_pitch, width, height};
  return copy_async(copy, kind, stream, "cudaMemcpy2DAsync");
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return copy_now(flat(to, from, bytes), kind, "cudaMemcpy");
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t handle) {
  return entry([&] {
    Stream* stream = stream_for_work(handle, "cudaMemsetAsync");
    if (!stream) return cudaErrorInvalidResourceHandle;
    const auto fault = planned_for_later(FaultKind::copy, stream->device);
    if (fault && !is_sticky(*fault)) return *fault;
    if (fault) {
      issue(*stream, {.name = "cudaMemsetAsync", .run = [code = *fault] { lose_device(running.device, code); }});
    } else if (bytes != 0) {
      issue(*stream, {.name = "cudaMemsetAsync", .run = [=] { fill(pointer, value, bytes, "cudaMemsetAsync"); }});
    }
    return cudaSuccess;
  });
}

cudaError_t cudaMemset(void* pointer, int value, size_t bytes) {
  return entry([&] {
    if (auto code = planned_fault(FaultKind::copy, current_device())) return *code;
    cudaError_t status = cudaSuccess;
    run_on_host("cudaMemset", [&] { status = fill(pointer, value, bytes, "cudaMemset"); });
    close_arenas();
    return status;
  });
}
