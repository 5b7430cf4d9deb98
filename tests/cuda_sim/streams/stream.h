// Streams, events and the operations queued on them. Nothing runs until the host waits; then the schedule's policy
// picks among the streams whose first operation is ready, until what the host waits for has happened, and no further.
#pragma once

#include <cuda_runtime_api.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "order.h"

namespace weft::sim {

/// One cudaEventRecord: what a wait for the event refers to, whatever happens to the event later.
struct RecordPoint {
  bool done = false;
  Clock clock;
  double seconds = 0;  // when it was reached
};
using RecordPointPtr = std::shared_ptr<RecordPoint>;

enum class Kind {
  work,           // touches memory; is dropped if the device is lost
  order,          // records and waits
  host_function,  // runs with device memory closed and other threads let in
  meeting,        // becomes ready by what other threads issue
};

struct Operation {
  uint32_t number = 0;
  Clock clock;
  std::function<bool()> ready;  // none: always
  std::function<void()> run;
  Kind kind = Kind::work;
};

struct Stream {
  int device = 0;
  int number = 0;          // on its device, for messages and policies
  uint32_t slot = 0;       // its line of time
  bool blocking = false;   // waits for the legacy default stream, and that for it
  bool destroyed = false;  // by the application; what is queued still runs
  bool busy = false;       // its first operation is a host function that runs now
  Clock clock;             // after the last operation issued
  double priority = 0;     // for policies
  std::deque<Operation> queue;
};

struct Event {
  int device = 0;
  bool timing = false;
  bool destroyed = false;
  RecordPointPtr last;  // null: never recorded
};

void reset_streams();

Stream* create_stream(int device, bool blocking);
void destroy_stream(Stream* stream);
/// The live stream behind the handle, or null and a report naming `who`: dead handles, the legacy default stream.
Stream* find_stream(cudaStream_t handle, const char* who);
/// The same for a stream to queue work on: it must belong to this thread's current device.
Stream* stream_for_work(cudaStream_t handle, const char* who);
Event* create_event(int device, bool timing);
Event* find_event(cudaEvent_t handle, const char* who);
const std::vector<Stream*>& all_streams();
size_t live_streams_and_events();

struct Issue {
  std::string name;
  const void* kernel = nullptr;
  std::function<void()> run;
  std::function<bool()> ready = nullptr;
  Kind kind = Kind::work;
};
/// Appends an operation; it happens after everything that the stream and the host know of by now.
void issue(Stream& stream, Issue what);
/// The clock that the next operation of the stream will have, but for itself.
const Clock& clock_ahead(Stream& stream);
/// Whether the operation with this place in its line has run.
bool has_run(uint32_t slot, uint32_t count);
void count_as_run(const Stream& stream);
/// A destroyed stream has nothing left to do.
void forget_stream(Stream* stream);

/// Queues the record of an event; later ones do not change what waits refer to.
RecordPointPtr record_point(Stream& stream);
void wait_for_point(Stream& stream, const RecordPointPtr& point);

/// The host learns that everything in this clock has ended.
void host_knows(const Clock& clock);
/// Runs `work` at once as an operation of the host.
void run_on_host(const char* name, const std::function<void()>& work);

/// Runs one ready operation; false if there is none.
bool step();
/// Runs operations until the condition holds. If nothing can make it hold: a deadlock report, and false.
bool run_until(const std::function<bool()>& condition, const char* who);
/// The same until the streams that belong have nothing queued; the host knows then of all they did.
bool run_until_idle(const std::function<bool(const Stream&)>& belongs, const char* who);

}  // namespace weft::sim
