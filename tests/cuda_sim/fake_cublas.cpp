// The part of cuBLAS that weft calls, on the simulated devices: column-major products, naively, in the compute type
// that was asked for. What a caller may do wrong is reported; the scribbling on the workspace is the library's own.
#include <cublas_v2.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "fake_values.h"
#include "lock.h"
#include "runtime/status.h"
#include "sim.h"

struct cublasContext {
  int device = 0;
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;
  size_t workspace_bytes = 0;
  std::thread::id thread;  // that chose the stream
};

namespace weft::sim {
namespace {

constexpr size_t smallest_workspace = 16 << 10;
std::map<cublasHandle_t, std::unique_ptr<cublasContext>> handles;

bool fail(const char* who, const std::string& what) {
  report(std::string(who) + ": " + what);
  return false;
}

// The handle may be used here and now; `chosen`: by the thread that chose its stream.
bool usable(cublasHandle_t handle, const char* who, bool chosen) {
  if (!handles.contains(handle)) return fail(who, "with a handle that does not exist, or no longer");
  if (handle->device != current_device())
    return fail(who, "the handle belongs to cuda:" + std::to_string(handle->device) +
                         ", the current device is cuda:" + std::to_string(current_device()));
  if (chosen && handle->thread != std::this_thread::get_id())
    return fail(who, "two threads use one handle: the other has chosen its stream since");
  return true;
}

cublasStatus_t planned_fault(int device, FaultKind kind = FaultKind::cublas) {
  return static_cast<cublasStatus_t>(consult_fault(kind, device));
}

Element element(cudaDataType type) {
  return type == CUDA_R_64F   ? Element::f64
         : type == CUDA_R_32F ? Element::f32
         : type == CUDA_R_16F ? Element::f16
                              : Element::bf16;
}

struct Matrix {
  void* data;
  Element type;
  bool transposed;
  int64_t ld, rows, columns;  // as stored
  int64_t stride;             // from one of the batch to the next

  int64_t at(int64_t batch, int64_t row, int64_t column) const {
    return batch * stride + (transposed ? column + row * ld : row + column * ld);
  }
};

struct Product {
  const char* who;
  int64_t m, n, k, batch;
  double alpha, beta;
  Matrix a, b, c;
  cublasComputeType_t compute;
  void* workspace;
  size_t workspace_bytes;
};

Matrix matrix(const void* data, cudaDataType type, cublasOperation_t form, int64_t rows, int64_t columns, int64_t ld,
              int64_t stride) {
  const bool transposed = form != CUBLAS_OP_N;
  if (transposed) std::swap(rows, columns);
  return {const_cast<void*>(data), element(type), transposed, ld, rows, columns, stride};
}

bool check_matrix(const Product& p, const Matrix& x, const char* name) {
  const std::string matrix = std::string("matrix ") + name;
  if (x.ld < std::max<int64_t>(1, x.rows))
    return fail(p.who, matrix + " has leading dimension " + std::to_string(x.ld) + ", less than its " +
                           std::to_string(x.rows) + " rows");
  if (reinterpret_cast<uintptr_t>(x.data) % size_of(x.type) != 0)
    return fail(p.who, matrix + " at an address that is not aligned to its elements: " + describe(x.data));
  return true;
}

bool check_call(const Product& p) {
  if (p.m < 0 || p.n < 0 || p.k < 0 || p.batch < 0) return fail(p.who, "a negative extent");
  if (!check_matrix(p, p.a, "A") || !check_matrix(p, p.b, "B") || !check_matrix(p, p.c, "C")) return false;
  if (p.batch > 1 && p.c.stride < p.c.ld * p.c.columns) return fail(p.who, "the results of the batch overlap");
  const bool wide = p.a.type == Element::f64;
  if (p.a.type != p.b.type || p.a.type != p.c.type || (p.compute == CUBLAS_COMPUTE_64F) != wide ||
      (p.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && p.a.type != Element::f32))
    return fail(p.who, "this compute type does not go with these element types");
  if (!p.workspace) return fail(p.who, "no workspace since the stream was set: cuBLAS's own is shared by all streams");
  return true;
}

bool check_memory(const Product& p, const Matrix& x, Access access) {
  bool fine = true;
  const auto pitch = static_cast<size_t>(x.ld) * size_of(x.type);
  for (int64_t i = 0; i < (x.stride == 0 ? 1 : p.batch); ++i)
    fine = check_rows(static_cast<char*>(x.data) + i * x.stride * static_cast<int64_t>(size_of(x.type)),
                      static_cast<size_t>(x.columns), static_cast<size_t>(x.rows) * size_of(x.type), pitch, access,
                      p.who) &&
           fine;
  return fine;
}

template <class Sum>
void multiply(const Product& p) {
  const bool tf32 = p.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const auto operand = [&](const Matrix& x, int64_t i) {
    const double value = load(x.data, x.type, i);
    return static_cast<Sum>(tf32 ? to_tf32(value) : value);
  };
  for (int64_t s = 0; s < p.batch; ++s)
    for (int64_t j = 0; j < p.n; ++j)
      for (int64_t i = 0; i < p.m; ++i) {
        Sum sum = 0;
        for (int64_t q = 0; q < p.k; ++q) sum += operand(p.a, p.a.at(s, i, q)) * operand(p.b, p.b.at(s, q, j));
        const int64_t at = p.c.at(s, i, j);
        const Sum old = p.beta == 0 ? Sum(0) : static_cast<Sum>(p.beta * load(p.c.data, p.c.type, at));
        store(p.c.data, p.c.type, at, static_cast<Sum>(p.alpha) * sum + old);
      }
}

void run(const Product& p) {
  bool fine = check_memory(p, p.a, Access::read);
  fine = check_memory(p, p.b, Access::read) && fine;
  fine = check_memory(p, p.c, p.beta == 0 ? Access::write : Access::read_write) && fine;
  fine = check_range(p.workspace, p.workspace_bytes, Access::write, p.who) && fine;
  if (!fine) return;
  std::memset(p.workspace, 0xa5, p.workspace_bytes);
  p.compute == CUBLAS_COMPUTE_64F ? multiply<double>(p) : multiply<float>(p);
}

double scalar(const void* value, cublasComputeType_t compute) {
  return compute == CUBLAS_COMPUTE_64F ? *static_cast<const double*>(value) : *static_cast<const float*>(value);
}

cublasStatus_t issue(cublasHandle_t handle, Product p) {
  const Lock lock;
  if (!usable(handle, p.who, true)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (const cublasStatus_t code = planned_fault(handle->device)) return code;
  p.workspace = handle->workspace;
  p.workspace_bytes = handle->workspace_bytes;
  if (!check_call(p)) return CUBLAS_STATUS_INVALID_VALUE;
  const cudaError_t status = enqueue(handle->stream, p.who, [p] { run(p); });
  return status == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace
}  // namespace weft::sim

using namespace weft::sim;

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  const Lock lock;
  if (device_count() == 0) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (check_current_device() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (const cublasStatus_t code = planned_fault(current_device())) return code;
  auto made = std::make_unique<cublasContext>();
  made->device = current_device();
  *handle = made.get();
  handles[*handle] = std::move(made);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
  const Lock lock;
  if (release_fails(current_device())) return CUBLAS_STATUS_INTERNAL_ERROR;
  if (handles.erase(handle) == 1) return CUBLAS_STATUS_SUCCESS;
  report("cublasDestroy: with a handle that does not exist, or no longer");
  return CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  const Lock lock;
  if (!usable(handle, "cublasSetStream", false)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (const cublasStatus_t code = planned_fault(handle->device, FaultKind::cublas_setup)) return code;
  const int device = stream_device(stream, "cublasSetStream");
  if (device != handle->device) {
    if (device >= 0)
      report("cublasSetStream: a stream of cuda:" + std::to_string(device) +
             " for a handle of cuda:" + std::to_string(handle->device));
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  handle->stream = stream;
  handle->thread = std::this_thread::get_id();
  handle->workspace = nullptr;  // as the real one does
  handle->workspace_bytes = 0;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
  const Lock lock;
  if (!usable(handle, "cublasSetWorkspace", true)) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (const cublasStatus_t code = planned_fault(handle->device, FaultKind::cublas_setup)) return code;
  if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) {
    report("cublasSetWorkspace: the workspace is not aligned to 256 bytes: " + describe(workspace));
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (bytes < smallest_workspace) {
    report("cublasSetWorkspace: " + std::to_string(bytes) + " bytes; some routines fail with less than 16 KiB");
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  handle->workspace = workspace;
  handle->workspace_bytes = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t) {
  const Lock lock;
  if (!usable(handle, "cublasSetMathMode", false)) return CUBLAS_STATUS_NOT_INITIALIZED;
  return planned_fault(handle->device, FaultKind::cublas_setup);
}

cublasStatus_t cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t form_a, cublasOperation_t form_b, int64_t m,
                               int64_t n, int64_t k, const void* alpha, const void* a, cudaDataType type_a, int64_t lda,
                               const void* b, cudaDataType type_b, int64_t ldb, const void* beta, void* c,
                               cudaDataType type_c, int64_t ldc, cublasComputeType_t compute, cublasGemmAlgo_t) {
  return issue(handle, {.who = "cublasGemmEx",
                        .m = m,
                        .n = n,
                        .k = k,
                        .batch = 1,
                        .alpha = scalar(alpha, compute),
                        .beta = scalar(beta, compute),
                        .a = matrix(a, type_a, form_a, m, k, lda, 0),
                        .b = matrix(b, type_b, form_b, k, n, ldb, 0),
                        .c = matrix(c, type_c, CUBLAS_OP_N, m, n, ldc, 0),
                        .compute = compute,
                        .workspace = nullptr,
                        .workspace_bytes = 0});
}

cublasStatus_t cublasGemmStridedBatchedEx_64(cublasHandle_t handle, cublasOperation_t form_a, cublasOperation_t form_b,
                                             int64_t m, int64_t n, int64_t k, const void* alpha, const void* a,
                                             cudaDataType type_a, int64_t lda, long long stride_a, const void* b,
                                             cudaDataType type_b, int64_t ldb, long long stride_b, const void* beta,
                                             void* c, cudaDataType type_c, int64_t ldc, long long stride_c,
                                             int64_t batch, cublasComputeType_t compute, cublasGemmAlgo_t) {
  return issue(handle, {.who = "cublasGemmStridedBatchedEx",
                        .m = m,
                        .n = n,
                        .k = k,
                        .batch = batch,
                        .alpha = scalar(alpha, compute),
                        .beta = scalar(beta, compute),
                        .a = matrix(a, type_a, form_a, m, k, lda, stride_a),
                        .b = matrix(b, type_b, form_b, k, n, ldb, stride_b),
                        .c = matrix(c, type_c, CUBLAS_OP_N, m, n, ldc, stride_c),
                        .compute = compute,
                        .workspace = nullptr,
                        .workspace_bytes = 0});
}

const char* cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
      return "CUBLAS_STATUS_?";
  }
}

const char* cublasGetStatusString(cublasStatus_t) { return "simulated"; }
