// gather and place: elements moved by size, in packs where an index names a row of them; and the check of indices.
#include "weft/tensor/ops/gather.h"

#include "weft/cuda/walk.cuh"
#include "weft/cuda/word.h"

namespace weft::cuda {
namespace {

/// Where the indexed element lies; false if there is none.
template <class I>
struct Axis {
  const I* index;
  int64_t limit, stride;
  __device__ bool find(int64_t at, int64_t& offset) const {
    const int64_t i = index[at];
    offset += i * stride;
    return i >= 0 && i < limit;
  }
};

template <int N, class U, class I>
__global__ void gather_kernel_of(Walk<3> walk, Axis<I> axis, const U* whole, U* selection) {
  const auto load = [&](auto n, auto offsets) {
    const bool found = axis.find(offsets.at[2], offsets.at[1]);
    return found ? load_walked<n>(walk, offsets, 1, whole) : splat<U, n>(U(0));
  };
  for_walked<N>(walk, load,
                [&](auto, const auto& offsets, const auto& pack) { store_as(selection + offsets.at[0], pack); });
}

template <class U, class I>
__global__ void place_kernel_of(Walk<3> walk, Axis<I> axis, const U* selection, U* whole) {
  for_walked<1>(
      walk, [&](auto, const auto& offsets) { return selection[offsets.at[0]]; },
      [&](auto, const auto& offsets, U value) {
        int64_t to = offsets.at[1];
        if (axis.find(offsets.at[2], to)) whole[to] = value;
      });
}

/// Calls body(Tag<U>, axis) with the element's and the index's types.
template <class Body>
void dispatch(const GatherArgs& args, const Body& body) {
  dispatch_word(args.element_size, [&](auto tag) {
    if (args.index_dtype == DType::i64)
      body(tag, Axis<int64_t>{static_cast<const int64_t*>(args.index), args.limit, args.axis_stride});
    else
      body(tag, Axis<int32_t>{static_cast<const int32_t*>(args.index), args.limit, args.axis_stride});
  });
}

void gather(const GatherArgs& args, Stream stream) {
  dispatch(args, [&](auto tag, const auto& axis) {
    using U = typename decltype(tag)::type;
    constexpr int width = pack_size<U>;
    Walk<3> walk = walk_of<3>(args.geometry,
                              {walked<U, width>(args.selection), walked<U, width>(args.whole), {args.index, 1}}, width);
    // Packs need one index for all their elements, and rows of whole that are aligned as its beginning is.
    walk.packed = walk.packed && walk.stride[2][walk.rank - 1] == 0 &&
                  (walk.stride[1][walk.rank - 1] == 0 || args.axis_stride % width == 0);
    launch("gather", gather_kernel_of<width, U, std::decay_t<decltype(axis.index[0])>>,
           grid_for_walk(walk, width, stream), stream, walk, axis, static_cast<const U*>(args.whole),
           static_cast<U*>(args.selection));
  });
}

void place(const GatherArgs& args, Stream stream) {
  dispatch(args, [&](auto tag, const auto& axis) {
    using U = typename decltype(tag)::type;
    Walk<3> walk = walk_of<3>(args.geometry, {{args.selection, 1}, {args.whole, 1}, {args.index, 1}}, 1);
    walk.packed = false;
    launch("place", place_kernel_of<U, std::decay_t<decltype(axis.index[0])>>, grid_for_walk(walk, 1, stream), stream,
           walk, axis, static_cast<const U*>(args.selection), static_cast<U*>(args.whole));
  });
}

template <class I>
__global__ void check_kernel(const I* index, int64_t n, int64_t limit, ErrorMark mark) {
  for (int64_t i = thread_in_grid(); i < n; i += threads_in_grid())
    if (index[i] < 0 || int64_t{index[i]} >= limit) mark_error(mark, i);
}

void check_index(const CheckIndexArgs& args, Stream stream) {
  const ErrorMark mark = arm_error(stream, args.message);
  const Grid grid = grid_for(args.numel, stream);
  if (args.dtype == DType::i64)
    launch("check_index", check_kernel<int64_t>, grid, stream, static_cast<const int64_t*>(args.index), args.numel,
           args.limit, mark);
  else
    launch("check_index", check_kernel<int32_t>, grid, stream, static_cast<const int32_t*>(args.index), args.numel,
           args.limit, mark);
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() {
  WEFT_PLUG(gather_kernel, weft::cuda::gather);
  WEFT_PLUG(place_kernel, weft::cuda::place);
  WEFT_PLUG(check_index_kernel, weft::cuda::check_index);
}
