#include "weft/cuda/dnn_descriptor.h"

#include "weft/tensor/error.h"

namespace weft::cuda {

std::string describe(cudnnStatus_t status) {
  char last[512] = "";
  cudnnGetLastErrorString(last, sizeof last);
  const std::string name = cudnnGetErrorString(status);
  return last[0] ? name + ": " + last : name;
}

void raise(cudnnStatus_t status, const char* operation) {
  const std::string text = describe(status);
  if (status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED ||
      status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)
    fail<OutOfMemory>(operation, ": cuDNN is out of memory (", text, "); reduce the batch or call empty_cache()");
  // A fault of an earlier kernel surfaces in whatever call comes next: the runtime knows better what happened. Its
  // other errors are what the library left behind on its way.
  if (const cudaError_t pending = cudaGetLastError(); is_sticky(pending)) raise(pending, operation);
  fail(operation, ": cuDNN failed with ", text);
}

}  // namespace weft::cuda
