// Timing for the benches: two pieces of work are run in turn (A B A B …) and compared by the median of the ratios of
// neighbouring runs, so that a machine whose speed drifts still gives a fair figure.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace weft::bench {

/// Seconds of one call.
template <class F>
double seconds(F&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// How often `work` must run to fill about `target` seconds.
template <class F>
int repetitions(F&& work, double target) {
  work();
  const double once = std::max(seconds(work), 1e-9);
  return std::clamp(static_cast<int>(target / once), 1, 1 << 22);
}

struct Comparison {
  double a = 0;  ///< seconds per call, median
  double b = 0;
  double ratio = 0;  ///< median of a / b over neighbouring runs
};

/// Runs `a` and `b` in turn, `rounds` times each; every run repeats its work to last about `target` seconds.
template <class A, class B>
Comparison interleave(A&& a, B&& b, int rounds = 15, double target = 0.02) {
  const int times_a = repetitions(a, target), times_b = repetitions(b, target);
  std::vector<double> as, bs, ratios;
  for (int i = 0; i < rounds; ++i) {
    as.push_back(seconds([&] {
                   for (int k = 0; k < times_a; ++k) a();
                 }) /
                 times_a);
    bs.push_back(seconds([&] {
                   for (int k = 0; k < times_b; ++k) b();
                 }) /
                 times_b);
    ratios.push_back(as.back() / bs.back());
  }
  return {median(as), median(bs), median(ratios)};
}

/// Seconds per call, median over `rounds`.
template <class A>
double time(A&& a, int rounds = 15, double target = 0.02) {
  const int times = repetitions(a, target);
  std::vector<double> runs;
  for (int i = 0; i < rounds; ++i)
    runs.push_back(seconds([&] {
                     for (int k = 0; k < times; ++k) a();
                   }) /
                   times);
  return median(runs);
}

/// "31.2 ns", "4.65 ms"
inline std::string duration(double seconds) {
  char text[32];
  const double scaled = seconds < 1e-6   ? seconds * 1e9
                        : seconds < 1e-3 ? seconds * 1e6
                        : seconds < 1    ? seconds * 1e3
                                         : seconds;
  const char* unit = seconds < 1e-6 ? "ns" : seconds < 1e-3 ? "us" : seconds < 1 ? "ms" : "s";
  std::snprintf(text, sizeof text, scaled < 10 ? "%.2f %s" : scaled < 100 ? "%.1f %s" : "%.0f %s", scaled, unit);
  return text;
}

inline void heading(const char* what, const char* weft, const char* peer) {
  std::printf("%-52s %10s %12s %8s  %s\n", what, weft, peer, "ratio", "goal");
}
/// A row with a peer: the ratio is weft's time over the peer's.
inline void row(const std::string& what, const Comparison& pair, const char* goal) {
  std::printf("%-52s %10s %12s %8.2f  %s\n", what.c_str(), duration(pair.a).c_str(), duration(pair.b).c_str(),
              pair.ratio, goal);
  std::fflush(stdout);
}
/// A row of weft alone.
inline void row(const std::string& what, double seconds, const char* goal) {
  std::printf("%-52s %10s %12s %8s  %s\n", what.c_str(), duration(seconds).c_str(), "", "", goal);
  std::fflush(stdout);
}

}  // namespace weft::bench
