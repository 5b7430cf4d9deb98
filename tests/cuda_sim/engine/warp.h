// Meetings of the lanes of a warp.
#pragma once

#include <string>

namespace weft::sim {

/// Lets every group of lanes go on that has met completely; `first` is the number of the warp's first thread. False if
/// none has, or if one met in a way that is an error (the kernel is stopped then).
bool release_warp(unsigned first);
/// Why the group that this thread waits for cannot meet.
std::string explain_stuck_warp(unsigned number);

}  // namespace weft::sim
