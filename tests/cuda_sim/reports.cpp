#include "reports.h"

#include <unordered_set>

#include "lock.h"
#include "sim.h"

namespace weft::sim {
namespace {

std::vector<std::string> list;
std::unordered_set<std::string> keys;

}  // namespace

void report_once(const std::string& key, const std::string& text) {
  if (keys.insert(key).second) list.push_back(text);
}

bool already_reported(const std::string& key) { return keys.contains(key); }

void clear_reports() {
  list.clear();
  keys.clear();
}

void report(std::string text) {
  Lock lock;
  report_once(text, text);
}

std::vector<std::string> reports() {
  Lock lock;
  return list;
}

std::vector<std::string> take_reports() {
  Lock lock;
  std::vector<std::string> taken = std::move(list);
  clear_reports();
  return taken;
}

}  // namespace weft::sim
