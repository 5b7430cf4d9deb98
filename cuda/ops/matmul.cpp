// Matrix products by cuBLAS.
#include "weft/tensor/ops/matmul.h"

#include "weft/cuda/blas.h"
#include "weft/tensor/error.h"

namespace weft::cuda {

namespace {

cudaDataType data_type(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return CUDA_R_64F;
    case DType::f16:
      return CUDA_R_16F;
    case DType::bf16:
      return CUDA_R_16BF;
    default:
      return CUDA_R_32F;
  }
}

cublasComputeType_t compute_type(const MatmulArgs& args) {
  if (args.dtype == DType::f64) return CUBLAS_COMPUTE_64F;
  return args.dtype == DType::f32 && args.allow_tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

// Rows that follow one another in a batch and meet the same right matrix are one taller matrix.
MatmulArgs merged(MatmulArgs args) {
  if (args.batch > 1 && args.b_batch == 0 && !args.a_transposed && args.a_batch == args.m * args.a_row) {
    args.m *= args.batch;
    args.batch = 1;
  }
  return args;
}

// cuBLAS thinks in columns: what lies in memory as the rows of c is to it the columns of c^T = b^T a^T, and the stored
// b and a are already their transposes.
template <class Scalar>
void product(const MatmulArgs& args, cublasHandle_t handle) {
  const Scalar one = 1, zero = 0;
  const cudaDataType type = data_type(args.dtype);
  const cublasOperation_t b_form = args.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t a_form = args.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  if (args.batch == 1) {
    check(cublasGemmEx_64(handle, b_form, a_form, args.n, args.m, args.k, &one, args.b, type, args.b_row, args.a, type,
                          args.a_row, &zero, args.c, type, args.n, compute_type(args), CUBLAS_GEMM_DEFAULT),
          "matmul");
  } else {
    check(cublasGemmStridedBatchedEx_64(handle, b_form, a_form, args.n, args.m, args.k, &one, args.b, type, args.b_row,
                                        args.b_batch, args.a, type, args.a_row, args.a_batch, &zero, args.c, type,
                                        args.n, args.m * args.n, args.batch, compute_type(args), CUBLAS_GEMM_DEFAULT),
          "matmul");
  }
}

void matmul(const MatmulArgs& args, Stream stream) {
  note_operation(stream.device.index, "matmul");
  const BlasScope blas(stream, "matmul", args.batch * args.m * args.n * args.k);
  if (args.dtype == DType::f64) {
    product<double>(merged(args), blas.handle());
  } else {
    product<float>(merged(args), blas.handle());
  }
}

}  // namespace
}  // namespace weft::cuda

WEFT_PLUGS() { WEFT_PLUG(matmul_kernel, matmul); }
