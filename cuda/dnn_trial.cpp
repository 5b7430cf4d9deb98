#include "weft/cuda/dnn_trial.h"

#include <cmath>

#include "weft/cuda/workspace.h"
#include "weft/tensor/ops/fill.h"

namespace weft::cuda {

namespace {

// Waits for the stream.
double first_of(DType dtype, const void* data, Stream stream) {
  double value = 0;
  dispatch_floating(dtype, [&](auto tag) {
    typename decltype(tag)::type first;
    Backend& cuda = backend(DeviceType::cuda);
    cuda.copy(&first, Device(), data, stream.device, sizeof first, stream);
    cuda.synchronize(stream);
    value = static_cast<double>(first);
  });
  return value;
}

}  // namespace

bool keeps_nan(const ConvPlan& plan, const Convolution& key, cudnnHandle_t handle, const ConvOperands& operands,
               Stream stream) {
  const int64_t element = size_of(key.dtype);
  const Workspace workspace(static_cast<size_t>(plan.workspace), stream);
  const Workspace bias(static_cast<size_t>(key.o * element), stream);
  fill_kernel({element, key.o, ~uint64_t{0}, bias.data(), nullptr}, stream);  // a NaN of every type
  run_plan(plan, handle, {operands.x, operands.w, operands.y, bias.data()}, workspace.data());
  return std::isnan(first_of(key.dtype, operands.y, stream));
}

}  // namespace weft::cuda
