// A profile in Chrome's trace format ("Trace Event Format", JSON object form): complete events X, counters C, names M.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>

#include "weft/tensor/error.h"
#include "weft/tensor/profile_recording.h"

namespace weft {

namespace {

// A string of JSON. Bytes that are not ASCII pass, as the file is UTF-8.
std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      json += escape;
    } else {
      json += c;
    }
  }
  return json + '"';
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

constexpr int host = 0;  // as a process of the trace; devices follow
int process_of(Device device) { return 1 + static_cast<int>(device.type) * 1000 + device.index; }

class Trace {
 public:
  explicit Trace(const std::vector<std::string>& threads) : threads_(threads) {}

  void add(const ProfileEvent& event) {
    const Device device = event.stream.device;
    const bool work = event.kind == ProfileKind::operation || event.kind == ProfileKind::copy;
    if (event.kind == ProfileKind::allocation || event.kind == ProfileKind::release) {
      process(process_of(device), to_string(device));
      text_ += ",\n{\"ph\":\"C\",\"name\":\"memory\",\"pid\":" + std::to_string(process_of(device)) +
               ",\"ts\":" + number(event.begin) + ",\"args\":{\"bytes\":" + std::to_string(event.in_use) + "}}";
    } else if (!work) {
      bar(event, thread_row(host, "host", event.thread), to_string(event.kind), event.begin, event.end);
    } else if (device.is_cpu()) {
      bar(event, thread_row(process_of(device), to_string(device), event.thread), to_string(event.kind), event.begin,
          event.end);
    } else {
      bar(event, thread_row(host, "host", event.thread), "launch", event.begin, event.end);
      if (event.has_device_time())
        bar(event, stream_row(event.stream), to_string(event.kind), event.device_begin, event.device_end);
    }
  }

  /// `rest`: members of the object beside the events.
  std::string json(const std::string& rest) const {
    const std::string events = text_.empty() ? "" : text_.substr(2);  // without the first comma and newline
    return "{\"traceEvents\":[\n" + events + "\n]," + rest + "}\n";
  }

 private:
  struct Row {
    int process;
    int64_t row;
  };

  void bar(const ProfileEvent& event, Row row, const char* category, double begin, double end) {
    text_ += ",\n{\"ph\":\"X\",\"name\":" + quoted(event.name) + ",\"cat\":\"" + category +
             "\",\"pid\":" + std::to_string(row.process) + ",\"tid\":" + std::to_string(row.row) +
             ",\"ts\":" + number(begin) + ",\"dur\":" + number(end - begin) +
             ",\"args\":{\"thread\":" + quoted(threads_[static_cast<size_t>(event.thread)]);
    if (event.on_stream) text_ += ",\"stream\":" + std::to_string(event.stream.id);
    if (event.bytes >= 0) text_ += ",\"bytes\":" + std::to_string(event.bytes);
    if (!event.shape.empty()) text_ += ",\"shape\":" + quoted(event.shape);
    if (event.failed) text_ += ",\"failed\":true";
    if (!event.finished) text_ += ",\"finished\":false";
    text_ += "}}";
  }

  void process(int id, const std::string& name) {
    if (!processes_.insert(id).second) return;
    const std::string head = ",\n{\"ph\":\"M\",\"pid\":" + std::to_string(id) + ",\"name\":";
    text_ += head + "\"process_name\",\"args\":{\"name\":" + quoted(name) + "}}";
    text_ += head + "\"process_sort_index\",\"args\":{\"sort_index\":" + std::to_string(id) + "}}";
  }
  Row row(int id, const std::string& name, int64_t row, const std::string& row_name) {
    process(id, name);
    if (rows_.insert({id, row}).second)
      text_ += ",\n{\"ph\":\"M\",\"pid\":" + std::to_string(id) + ",\"tid\":" + std::to_string(row) +
               ",\"name\":\"thread_name\",\"args\":{\"name\":" + quoted(row_name) + "}}";
    return {id, row};
  }
  Row thread_row(int id, const std::string& name, int thread) {
    return row(id, name, thread, threads_[static_cast<size_t>(thread)]);
  }
  Row stream_row(Stream stream) {
    return row(process_of(stream.device), to_string(stream.device), static_cast<int64_t>(stream.id),
               "stream " + std::to_string(stream.id));
  }

  const std::vector<std::string>& threads_;
  std::string text_;
  std::set<int> processes_;
  std::set<std::pair<int, int64_t>> rows_;
};

}  // namespace

void Profile::save_trace(const std::string& path) {
  stop();
  Trace trace(results_->threads);
  for (const ProfileEvent& event : results_->events) trace.add(event);
  std::string rest = "\"displayTimeUnit\":\"ms\",\"otherData\":{\"dropped\":" + std::to_string(results_->dropped);
  if (!results_->trouble.empty()) rest += ",\"trouble\":" + quoted(results_->trouble);
  const std::string text = trace.json(rest + "}");
  errno = 0;
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  WEFT_CHECK(Error, file.good(), "Profile: '", path, "' could not be written: ", std::string(std::strerror(errno)));
}

}  // namespace weft
