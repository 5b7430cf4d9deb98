// Eight elements side by side, with the operators of C. The same eight for every instruction set, so that sums are
// taken in one order everywhere; the compiler splits them where registers are shorter. For kernel files: internal
// linkage.
#pragma once

#include <cstdint>
#include <type_traits>

namespace weft {
namespace {

template <class W>
struct EightOf {
  typedef W type __attribute__((vector_size(8 * sizeof(W))));
  typedef W unaligned __attribute__((vector_size(8 * sizeof(W)), aligned(sizeof(W)), may_alias));
};
/// Held in registers.
template <class W>
using Eight = typename EightOf<W>::type;
/// As it lies in memory: `*eight_at(p)`. Vectors are never passed to or returned from functions: how depends on the
/// set.
template <class W>
using EightInMemory = typename EightOf<W>::unaligned;
template <class W>
__attribute__((always_inline)) inline const EightInMemory<W>* eight_at(const W* p) {
  return reinterpret_cast<const EightInMemory<W>*>(p);
}

/// Integers as wide as W: what comparisons of eights give.
template <class W>
using NumberLike = std::conditional_t<sizeof(W) == 8, int64_t, int32_t>;

}  // namespace
}  // namespace weft
