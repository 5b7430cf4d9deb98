// What tests compute with: recipes of operands, and the seeds and dice that values come from.
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "tests/support/array.h"

namespace weft::test {

Input Input::range(double from, double to) const {
  Input other = *this;
  other.fill = Fill::uniform, other.low = from, other.high = to;
  return other;
}
Input Input::integers(int from, int to) const {
  Input other = *this;
  other.fill = Fill::integers, other.low = from, other.high = to;
  return other;
}
Input Input::distinct() const {
  Input other = *this;
  other.fill = Fill::distinct;
  return other;
}
Input Input::values(std::vector<double> v) const {
  Input other = *this;
  other.fill = Fill::given, other.given = std::move(v);
  return other;
}
Input Input::dtype(DType t) const {
  Input other = *this;
  other.follows_row = false, other.fixed = t;
  return other;
}
Input Input::labels(int classes) const { return integers(0, classes - 1).dtype(DType::i64).untracked(); }
Input Input::untracked() const {
  Input other = *this;
  other.is_tracked = false;
  return other;
}
Input Input::as_is() const {
  Input other = *this;
  other.rearranged = false;
  return other;
}

Array make_values(const Input& input, uint64_t seed) {
  if (input.fill == Input::Fill::given) return Array(input.shape, input.given);
  Array x(input.shape);
  Dice dice(seed);
  if (input.fill == Input::Fill::distinct) {
    for (int64_t i = 0; i < x.numel(); ++i) x[i] = 0.1 * (static_cast<double>(i - x.numel() / 2) + 0.5);
    for (int64_t i = x.numel() - 1; i > 0; --i) std::swap(x[i], x[dice.integer(0, i)]);
    return x;
  }
  for (double& value : x.values)
    value = input.fill == Input::Fill::integers
                ? static_cast<double>(dice.integer(static_cast<int64_t>(input.low), static_cast<int64_t>(input.high)))
                : dice.uniform(input.low, input.high);
  return x;
}

uint64_t test_seed() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("WEFT_TEST_SEED");
    if (!text || !*text) return uint64_t{20260101};
    if (std::string_view(text) == "random")
      return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) % 1'000'000'007;
    return static_cast<uint64_t>(std::strtoull(text, nullptr, 10));
  }();
  return seed;
}

uint64_t seed_for(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325u ^ test_seed();
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

uint64_t Dice::bits() {  // splitmix64
  uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
double Dice::uniform(double from, double to) {
  return from + (to - from) * static_cast<double>(bits() >> 11) * 0x1p-53;
}
int64_t Dice::integer(int64_t from, int64_t to) {
  return from + static_cast<int64_t>(bits() % static_cast<uint64_t>(to - from + 1));
}

}  // namespace weft::test
