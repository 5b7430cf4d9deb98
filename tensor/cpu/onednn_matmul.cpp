#include "weft/tensor/cpu/onednn.h"
#include "weft/tensor/cpu/onednn_plan.h"
#include "weft/tensor/storage.h"

namespace weft::cpu {

namespace {

using onednn::Extents, onednn::Plan, onednn::PlanRef;

// Below this number of multiplications the look-up of a primitive costs more than it may win over sgemm.
constexpr int64_t sgemm_limit = 64 * 64 * 64;

onednn::Layout matrices(const MatmulArgs& p, int64_t distance, int64_t rows, int64_t columns, int64_t row,
                        bool transposed) {
  Extents extents{rows, columns}, strides{transposed ? 1 : row, transposed ? row : 1};
  if (p.batch > 1) {
    extents.insert(extents.begin(), distance > 0 ? p.batch : 1);
    strides.insert(strides.begin(), distance > 0 ? distance : rows * columns);
  }
  return {extents, onednn::type_of(p.dtype), strides};
}

void make_product(const MatmulArgs& p, Plan& plan) {
  plan.x = matrices(p, p.a_batch, p.m, p.k, p.a_row, p.a_transposed);
  plan.w = matrices(p, p.b_batch, p.k, p.n, p.b_row, p.b_transposed);
  plan.y = matrices(p, p.m * p.n, p.m, p.n, p.n, false);
  const auto made = onednn::describe<dnnl::matmul>(plan.x, plan.w, plan.y);
  if (onednn::adopt<dnnl::matmul>(plan, made)) plan.by_gemm = onednn::starts_with(made.impl_info_str(), "gemm");
}

void by_sgemm(const MatmulArgs& p) {
  for (int64_t i = 0; i < p.batch; ++i) {
    const dnnl_status_t status = dnnl_sgemm(p.a_transposed ? 'T' : 'N', p.b_transposed ? 'T' : 'N', p.m, p.n, p.k, 1.f,
                                            static_cast<const float*>(p.a) + i * p.a_batch, p.a_row,
                                            static_cast<const float*>(p.b) + i * p.b_batch, p.b_row, 0.f,
                                            static_cast<float*>(p.c) + i * p.m * p.n, p.n);
    dnnl::error::wrap_c_api(status, "sgemm failed");
  }
}

void tell_sanitizer(const MatmulArgs& p) {
  const auto bytes = [&](int64_t distance, int64_t rows, int64_t columns, int64_t row, bool transposed) {
    const int64_t matrix = ((transposed ? columns : rows) - 1) * row + (transposed ? rows : columns);
    return ((p.batch - 1) * distance + matrix) * size_of(p.dtype);
  };
  onednn::will_read(p.a, bytes(p.a_batch, p.m, p.k, p.a_row, p.a_transposed));
  onednn::will_read(p.b, bytes(p.b_batch, p.k, p.n, p.b_row, p.b_transposed));
  onednn::will_write(p.c, p.batch * p.m * p.n * size_of(p.dtype));
}

bool multiply(const MatmulArgs& p, Stream stream) {
  const int threads = onednn::threads();
  const bool one_by_one = p.dtype == DType::f32 && (p.batch == 1 || threads == 1);
  const bool small = p.m * p.n <= sgemm_limit / p.k;
  PlanRef plan;
  if (!one_by_one || !small)
    plan = onednn::plan_for({1, static_cast<int64_t>(p.dtype), threads, p.batch, p.m, p.n, p.k, p.a_row, p.b_row,
                             p.a_transposed, p.b_transposed, p.a_batch, p.b_batch},
                            [&](Plan& made) { make_product(p, made); });
  if (one_by_one && (!plan || !plan->run || plan->by_gemm)) {
    by_sgemm(p);
    return true;
  }
  if (!plan->run) return false;
  const Ref<Storage> scratch = allocate_storage(plan->scratch, stream);
  onednn::Call call;
  call.add(DNNL_ARG_SRC, plan->x, p.a);
  call.add(DNNL_ARG_WEIGHTS, plan->w, p.b);
  call.add(DNNL_ARG_DST, plan->y, p.c);
  call.scratch(plan->scratch, scratch->data());
  call.run(plan->run);
  return true;
}

}  // namespace

bool onednn_matmul(const MatmulArgs& args, Stream stream) {
  if (!onednn::takes(args.dtype)) return false;
  const onednn::ThreadScope scope;
  tell_sanitizer(args);
  try {
    return multiply(args, stream);
  } catch (const dnnl::error& error) {
    onednn::rethrow("matmul", error);
  }
}

}  // namespace weft::cpu
