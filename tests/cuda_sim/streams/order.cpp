#include "order.h"

#include <algorithm>
#include <map>
#include <set>

#include "../memory/allocations.h"
#include "../reports.h"

namespace weft::sim {

Running running;

namespace {

constexpr uint32_t set_bit = uint32_t{1} << 31;

std::vector<OperationInfo> operations(1);
uint32_t runs = 0;
std::set<std::string> names;

// Readers without order between them: sorted lists, each kept once, numbered with the top bit set.
std::vector<std::vector<uint32_t>> reader_sets;
std::map<std::vector<uint32_t>, uint32_t> set_numbers;

// A few pairs that happens_before() has answered yes for.
struct Known {
  uint32_t earlier = 0;
  uint32_t later = 0;
} known_pairs[64];

bool happens_before(uint32_t earlier) {
  if (earlier == 0 || earlier == running.number) return true;
  Known& pair = known_pairs[earlier % 64];
  if (pair.earlier == earlier && pair.later == running.number) return true;
  const OperationInfo& info = operations[earlier];
  if (!knows(*running.clock, info.slot, info.count)) return false;
  pair = {earlier, running.number};
  return true;
}

void report_disorder(size_t word, uint32_t earlier, const char* verb, const char* earlier_verb) {
  const size_t offset = word * 4;
  const OperationInfo& now = operations[running.number];
  const OperationInfo& before = operations[earlier];
  const std::string key =
      "order " + std::to_string(reinterpret_cast<uintptr_t>(now.kernel ? now.kernel : now.name)) + " " +
      std::to_string(reinterpret_cast<uintptr_t>(before.kernel ? before.kernel : before.name)) + verb + earlier_verb;
  if (already_reported(key)) return;
  report_once(key, "no order between operations: " + operation_name(running.number) + " " + verb + " " +
                       describe_offset(offset) + ", which " + operation_name(earlier) + " " + earlier_verb +
                       "; let the later one wait for an event of the earlier one");
}

std::string short_name(const OperationInfo& info) { return info.kernel ? function_name(info.kernel) : *info.name; }

// Whether it makes or frees memory, which counts as writing.
bool changes_life(const OperationInfo& info) {
  return info.allocates || (info.name && info.name->starts_with("cudaFree"));
}

uint32_t number_of_set(std::vector<uint32_t> readers) {
  std::sort(readers.begin(), readers.end());
  auto [found, is_new] = set_numbers.try_emplace(readers, set_bit | static_cast<uint32_t>(reader_sets.size()));
  if (is_new) reader_sets.push_back(std::move(readers));
  return found->second;
}

// The readers of the word that may still be reading when `running` does, and `running` itself.
uint32_t merged_readers(uint32_t reader) {
  if ((reader & set_bit) == 0) {
    return happens_before(reader) ? running.number : number_of_set({reader, running.number});
  }
  std::vector<uint32_t> readers = {running.number};
  for (uint32_t other : reader_sets[reader & ~set_bit]) {
    if (other == running.number) return reader;
    if (!happens_before(other)) readers.push_back(other);
  }
  return readers.size() == 1 ? running.number : number_of_set(std::move(readers));
}

}  // namespace

void join(Clock& into, const Clock& from) {
  if (into.size() < from.size()) into.resize(from.size());
  for (size_t i = 0; i < from.size(); ++i) into[i] = std::max(into[i], from[i]);
}

bool knows(const Clock& clock, uint32_t slot, uint32_t count) { return slot < clock.size() && clock[slot] >= count; }

const std::string* intern(const std::string& name) { return &*names.insert(name).first; }

uint32_t add_operation(const OperationInfo& info) {
  operations.push_back(info);
  operations.back().allocates = info.name && (info.name->starts_with("cudaMalloc") || *info.name == "cudaHostAlloc");
  return static_cast<uint32_t>(operations.size() - 1);
}

std::string operation_name(uint32_t operation) {
  const OperationInfo& info = operations[operation];
  const std::string name = short_name(info);
  const std::string device = " of cuda:" + std::to_string(info.device);
  return name + (info.stream < 0 ? " by the host" : " on stream " + std::to_string(info.stream) + device);
}

void operation_has_run(uint32_t operation) { operations[operation].ran = ++runs; }

uint32_t runs_so_far() { return runs; }

bool written_since(uint32_t since, size_t offset, size_t bytes) {
  for (size_t word = offset / 4; word * 4 < offset + bytes; ++word) {
    if (operations[words[word].writer].ran > since) return true;
  }
  return false;
}

void reset_order() {
  operations.resize(1);
  reader_sets.clear();
  set_numbers.clear();
  for (Known& pair : known_pairs) pair = {};
  running = {};
}

void order_read_slow(size_t number) {
  Word& word = words[number];
  if (!happens_before(word.writer)) report_disorder(number, word.writer, "reads", "wrote");
  word.reader = merged_readers(word.reader);
}

void order_write_slow(size_t number, const char* verb) {
  Word& word = words[number];
  if (operations[word.writer].allocates && !changes_life(operations[running.number])) {
    note_maker(number * 4, running.number);
  }
  if (!happens_before(word.writer)) report_disorder(number, word.writer, verb, "wrote");
  if (word.reader & set_bit) {
    for (uint32_t reader : reader_sets[word.reader & ~set_bit]) {
      if (!happens_before(reader)) report_disorder(number, reader, verb, "reads");
    }
  } else if (!happens_before(word.reader)) {
    report_disorder(number, word.reader, verb, "reads");
  }
  word = {running.number, 0};
}

void order_read(size_t offset, size_t bytes) {
  for (size_t word = offset / 4; word * 4 < offset + bytes; ++word) order_read_word(word);
}

void order_write(size_t offset, size_t bytes, const char* verb) {
  for (size_t word = offset / 4; word * 4 < offset + bytes; ++word) order_write_word(word, verb);
}

std::string makers_suffix(uint32_t maker, size_t offset) {
  if (maker == 0 || maker >= operations.size()) return "";
  const std::string made_by = short_name(operations[maker]);
  const uint32_t writer = words[offset / 4].writer;
  const bool same = writer >= operations.size() || changes_life(operations[writer]);
  const std::string written_by = same ? made_by : short_name(operations[writer]);
  return ", made by " + made_by + (written_by == made_by ? "" : ", last written by " + written_by);
}

}  // namespace weft::sim
