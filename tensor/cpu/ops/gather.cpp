// gather and place: elements moved by size, whole rows at once where an index names a row. Indices were checked.
#include "weft/tensor/ops/gather.h"

#include <limits>

#include "weft/tensor/cpu/moves.h"

namespace weft {
namespace {

constexpr int64_t grain = 16384;

// Calls body(selection, whole, n, selection_stride, whole_stride) for runs of elements.
template <class T, class I, class Body>
WEFT_INLINE void for_runs(const GatherArgs& args, const Body& body) {
  const Collapsed& geometry = args.geometry;
  const int last = geometry.rank - 1;
  const int64_t selection_step = geometry.stride[0][last], whole_step = geometry.stride[1][last];
  const int64_t index_step = geometry.stride[2][last], axis = args.axis_stride;
  T* const selection = static_cast<T*>(args.selection);
  T* const whole = static_cast<T*>(args.whole);
  const I* const index = static_cast<const I*>(args.index);
  parallel_for(geometry.numel, grain, [=, &geometry](int64_t begin, int64_t end) {
    for_rows<3>(geometry, begin, end, [=](const int64_t* offset, int64_t n) {
      T* const to = selection + offset[0];
      T* const from = whole + offset[1];
      const I* const at = index + offset[2];
      if (index_step == 0) return body(to, from + *at * axis, n, selection_step, whole_step);
      for (int64_t i = 0; i < n; ++i)
        body(to + i * selection_step, from + i * whole_step + at[i * index_step] * axis, 1, 1, 1);
    });
  });
}

template <class Body>
WEFT_INLINE void dispatch(const GatherArgs& args, const Body& body) {
  dispatch_size(args.element_size, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (args.index_dtype == DType::i64)
      for_runs<T, int64_t>(args, body);
    else
      for_runs<T, int32_t>(args, body);
  });
}

void gather(const GatherArgs& args, Stream) {
  dispatch(args, [](auto* selection, auto* whole, int64_t n, int64_t selection_step, int64_t whole_step) {
    if (n == 1)
      *selection = *whole;
    else
      move_run(whole, whole_step, selection, selection_step, n);
  });
}

void place(const GatherArgs& args, Stream) {
  dispatch(args, [](auto* selection, auto* whole, int64_t n, int64_t selection_step, int64_t whole_step) {
    if (n == 1)
      *whole = *selection;
    else
      move_run(selection, selection_step, whole, whole_step, n);
  });
}

template <class I>
void check(const CheckIndexArgs& args) {
  const I* const index = static_cast<const I*>(args.index);
  constexpr int64_t highest = std::numeric_limits<I>::max();
  const I last = static_cast<I>(smaller(args.limit - 1, highest));
  parallel_for(args.numel, grain, [&, index, last](int64_t begin, int64_t end) {
    I wrong = 0;
#pragma omp simd reduction(| : wrong)
    for (int64_t i = begin; i < end; ++i) wrong |= I(index[i] < 0) | I(index[i] > last);
    if (!wrong) return;
    while (index[begin] >= 0 && index[begin] <= last) ++begin;
    int64_t seen = __atomic_load_n(args.bad, __ATOMIC_RELAXED);
    while (begin < seen &&
           !__atomic_compare_exchange_n(args.bad, &seen, begin, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
  });
}

void check_index(const CheckIndexArgs& args, Stream) {
  args.dtype == DType::i64 ? check<int64_t>(args) : check<int32_t>(args);
}

}  // namespace
}  // namespace weft

WEFT_PLUGS() {
  WEFT_PLUG(weft::gather_kernel, weft::gather);
  WEFT_PLUG(weft::place_kernel, weft::place);
  WEFT_PLUG(weft::check_index_kernel, weft::check_index);
}
