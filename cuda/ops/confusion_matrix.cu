// Confusion matrix without atomics: every thread owns one bin and looks at all positions of a chunk, which lie in
// shared memory as numbers of bins; then the chunks' counts are added up.
#include "weft/tensor/ops/confusion_matrix.h"

#include "weft/cuda/launch.cuh"
#include "weft/cuda/workspace.h"

namespace weft::cuda {
namespace {

constexpr int threads = 256;
constexpr int64_t most_chunks = 256;

/// The bin of a position; -1 where it does not count.
__device__ inline int32_t bin_of(const ConfusionMatrixArgs& a, const ErrorMark& mark, int64_t i) {
  const int64_t label = integer_at(a.labels, a.label_dtype, i);
  if (label == a.ignore_label) return -1;
  const int64_t prediction = integer_at(a.predictions, a.prediction_dtype, i);
  if (label >= 0 && label < a.classes && prediction >= 0 && prediction < a.classes)
    return static_cast<int32_t>(label * a.classes + prediction);
  mark_error(mark, i);
  return -1;
}

/// Task: a chunk of positions and `threads` bins. partials [chunks, bins].
__global__ void count_kernel(ConfusionMatrixArgs args, int64_t chunk, int64_t chunks, int64_t bins, ErrorMark mark,
                             int32_t* partials) {
  WEFT_SHARED(int32_t, tile, [threads]);
  const int64_t groups = (bins + threads - 1) / threads;
  for (int64_t task = blockIdx.x; task < groups * chunks; task += gridDim.x) {
    const int64_t bin = task % groups * threads + threadIdx.x, begin = task / groups * chunk;
    const int64_t end = smaller(begin + chunk, args.numel);
    int32_t count = 0;
    for (int64_t first = begin; first < end; first += threads) {
      const int64_t i = first + threadIdx.x;
      tile[threadIdx.x] = i < end ? bin_of(args, mark, i) : -1;
      barrier();
      for (int k = 0; k < threads; ++k) count += tile[k] == bin ? 1 : 0;
      barrier();  // before the next tile is written
    }
    if (bin < bins) partials[task / groups * bins + bin] = count;
  }
}

__global__ void total_kernel(int64_t chunks, int64_t bins, const int32_t* partials, int64_t* counts) {
  for (int64_t bin = thread_in_grid(); bin < bins; bin += threads_in_grid()) {
    int64_t total = 0;
    for (int64_t c = 0; c < chunks; ++c) total += partials[c * bins + bin];
    counts[bin] = total;
  }
}

void confusion_matrix(const ConfusionMatrixArgs& args, Stream stream) {
  const ErrorMark mark =
      arm_error(stream,
                "confusion_matrix: a label or prediction is not one of the classes; they are 0 … classes - 1, or the "
                "label is the ignored one");
  const int64_t tiles = (args.numel + threads - 1) / threads, bins = args.classes * args.classes;
  const int64_t chunk = (tiles + most_chunks - 1) / most_chunks * threads, chunks = (args.numel + chunk - 1) / chunk;
  const int64_t groups = (bins + threads - 1) / threads;
  const Workspace memory(static_cast<size_t>(chunks * bins) * sizeof(int32_t), stream);
  auto* partials = static_cast<int32_t*>(memory.data());
  launch("confusion_matrix", count_kernel, grid_for(groups * chunks * threads, stream, threads), stream, args, chunk,
         chunks, bins, mark, partials);
  launch("confusion_matrix", total_kernel, grid_for(bins, stream), stream, chunks, bins, partials, args.counts);
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(confusion_matrix_kernel, weft::cuda::confusion_matrix); }
