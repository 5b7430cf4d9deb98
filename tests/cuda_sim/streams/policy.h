// Which of several ready streams runs next.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

namespace weft::sim {

struct Stream;

/// One of `ready`, which is not empty, by the schedule's policy.
Stream* pick(const std::vector<Stream*>& ready);
/// A priority for a stream that has just been made.
double first_priority();
/// Numbers drawn from the schedule's seed.
std::mt19937_64& schedule_random();
/// Back to the seed.
void restart_schedule();

}  // namespace weft::sim
