// Host code that queues work, each in a right and a wrong version.
#pragma once

#include <string>
#include <vector>

namespace weft::sim::mutants {

struct HostCase {
  std::string name;
  void (*run)(bool wrong);
  std::vector<std::string> reports;  // what a report of the wrong version contains: one of them, by the schedule
};
const std::vector<HostCase>& host_cases();

}  // namespace weft::sim::mutants
