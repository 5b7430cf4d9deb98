// A profile as sums by operation.
#include <algorithm>
#include <cstdio>
#include <map>

#include "weft/tensor/profile_recording.h"

namespace weft {

namespace {

constexpr int width = 34;  // of names

bool is_work(ProfileKind kind) { return kind == ProfileKind::operation || kind == ProfileKind::copy; }

std::string formatted(const char* format, auto... values) {
  char text[256];
  const int length = std::snprintf(text, sizeof text, format, values...);
  return {text, static_cast<size_t>(std::clamp(length, 0, static_cast<int>(sizeof text) - 1))};
}

std::string line_of(const ProfileRow& row) {
  std::string name = row.name;
  if (name.size() > width) name = name.substr(0, width - 3) + "...";
  std::string line = formatted("%-*s %9lld %11.3f %11.1f ", width, name.c_str(), static_cast<long long>(row.calls),
                               row.total / 1000, row.mean());
  line += is_work(row.kind) ? formatted("%6.1f %%", row.share * 100) : formatted("%8s", "");
  if (row.bytes >= 0) line += formatted(" %10.2f", static_cast<double>(row.bytes) / 1e6);
  if (row.bytes >= 0 && row.rate > 0) line += formatted(" %8.2f", row.rate);
  line.resize(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

}  // namespace

std::vector<ProfileRow> Profile::rows() {
  struct Sum {
    ProfileRow row;
    double timed = 0;  // of the calls whose bytes are known
  };
  std::map<std::pair<ProfileKind, std::string_view>, Sum> sums;
  double total = 0;
  for (const ProfileEvent& event : events()) {
    Sum& sum = sums[{event.kind, event.name}];
    ++sum.row.calls;
    sum.row.total += event.duration();
    if (is_work(event.kind)) total += event.duration();
    if (event.bytes < 0) continue;
    sum.row.bytes = std::max(sum.row.bytes, int64_t{0}) + event.bytes;
    sum.timed += event.duration();
  }
  std::vector<ProfileRow> rows;
  for (auto& [key, sum] : sums) {
    sum.row.kind = key.first;
    sum.row.name = key.second;
    if (is_work(key.first) && total > 0) sum.row.share = sum.row.total / total;
    if (sum.timed > 0) sum.row.rate = static_cast<double>(sum.row.bytes) / (sum.timed * 1000);
    rows.push_back(std::move(sum.row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const ProfileRow& a, const ProfileRow& b) {
    if (is_work(a.kind) || is_work(b.kind)) return is_work(a.kind) && (!is_work(b.kind) || a.total > b.total);
    return a.kind < b.kind || (a.kind == b.kind && a.total > b.total);
  });
  return rows;
}

std::string Profile::table() {
  const std::vector<ProfileRow> all = rows();
  std::string text = formatted("%-*s %9s %11s %11s %8s %10s %8s\n", width, "operations and copies", "calls", "total ms",
                               "mean us", "share", "MB", "GB/s");
  ProfileKind kind = ProfileKind::operation;
  for (const ProfileRow& row : all) {
    if (row.kind == ProfileKind::allocation || row.kind == ProfileKind::release) continue;  // summed up below
    if (!is_work(row.kind) && row.kind != kind) text += std::string(to_string(kind = row.kind)) + "\n";
    ProfileRow shown = row;
    if (!is_work(row.kind)) shown.name = "  " + row.name;
    text += line_of(shown);
  }
  for (const ProfileMemory& m : results_->memory)
    text += formatted("memory of %s: peak %.2f MB, %lld allocations of %.2f MB in all\n", to_string(m.device).c_str(),
                      static_cast<double>(m.peak) / 1e6, static_cast<long long>(m.allocations),
                      static_cast<double>(m.bytes) / 1e6);
  text += formatted("%.3f ms, %zu events of %zu threads\n", results_->duration / 1000, results_->events.size(),
                    results_->threads.size());
  if (results_->dropped > 0)
    text += formatted("dropped %lld events beyond the limit of %lld; sums and times miss them\n",
                      static_cast<long long>(results_->dropped), static_cast<long long>(results_->limit));
  return text + results_->trouble;
}

}  // namespace weft
