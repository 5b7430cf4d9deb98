// Products on simulated devices: what weft passes to cuBLAS, and what the simulated cuBLAS says to a wrong call.
#include "weft/cuda/blas.h"

#include <doctest/doctest.h>

#include <thread>

#include "tests/cuda_sim/operand.h"
#include "tests/cuda_sim/sim.h"
#include "weft/tensor/error.h"
#include "weft/tensor/ops/matmul.h"

using namespace weft;
using test::fresh_devices;
using test::Operand;
using test::reported;
using test::whole_numbers;

namespace {

const Stream stream0{Device(DeviceType::cuda, 0), 0};

struct Shape3 {
  int64_t batch, m, n, k;
  bool a_transposed = false, b_transposed = false, share_b = false;
  int64_t gap = 0;  // elements between rows
};

struct Case {
  MatmulArgs args;
  std::vector<double> a, b, expected;
};

Case make_case(const Shape3& s, DType dtype) {
  Case c;
  MatmulArgs& args = c.args;
  args = {.dtype = dtype,
          .batch = s.batch,
          .m = s.m,
          .n = s.n,
          .k = s.k,
          .a = nullptr,
          .b = nullptr,
          .c = nullptr,
          .a_row = (s.a_transposed ? s.m : s.k) + s.gap,
          .b_row = (s.b_transposed ? s.k : s.n) + s.gap,
          .a_transposed = s.a_transposed,
          .b_transposed = s.b_transposed,
          .a_batch = 0,
          .b_batch = 0,
          .allow_tf32 = false};
  args.a_batch = (s.a_transposed ? s.k : s.m) * args.a_row;
  args.b_batch = s.share_b ? 0 : (s.b_transposed ? s.n : s.k) * args.b_row;
  c.a = whole_numbers(s.batch * args.a_batch, 1);
  c.b = whole_numbers(s.share_b ? (s.b_transposed ? s.n : s.k) * args.b_row : s.batch * args.b_batch, 2);
  for (int64_t q = 0; q < s.batch; ++q)
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j) {
        double sum = 0;
        for (int64_t p = 0; p < s.k; ++p)
          sum +=
              c.a[static_cast<size_t>(q * args.a_batch + (s.a_transposed ? p * args.a_row + i : i * args.a_row + p))] *
              c.b[static_cast<size_t>(q * args.b_batch + (s.b_transposed ? j * args.b_row + p : p * args.b_row + j))];
        c.expected.push_back(sum);
      }
  return c;
}

std::vector<double> product(const Case& c, Stream stream, int64_t shift = 0) {
  const Operand a(c.a, c.args.dtype, stream, shift), b(c.b, c.args.dtype, stream, shift);
  const Operand y(std::ssize(c.expected), c.args.dtype, stream, shift);
  MatmulArgs args = c.args;
  args.a = a.data(), args.b = b.data(), args.c = y.data();
  matmul_kernel(args, stream);
  return y.values();
}

// cublasGemmEx of 4 x 4 matrices with a workspace of its own.
struct Call {
  int64_t ld = 4;
  const float* a = nullptr;
  bool workspace = true;

  cublasStatus_t operator()() const {
    const Operand b(whole_numbers(16, 2), DType::f32, stream0), y(16, DType::f32, stream0);
    const cuda::BlasScope blas(stream0, "test", 64);
    if (!workspace) cuda::check(cublasSetStream(blas.handle(), cuda::native(stream0)), "test");
    const float one = 1, zero = 0;
    return cublasGemmEx_64(blas.handle(), CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, a ? a : b.data(), CUDA_R_32F, ld,
                           b.data(), CUDA_R_32F, 4, &zero, y.data(), CUDA_R_32F, 4, CUBLAS_COMPUTE_32F,
                           CUBLAS_GEMM_DEFAULT);
  }
};

}  // namespace

TEST_CASE("cuBLAS: products of every form and dtype equal a plain loop") {
  const Shape3 shapes[] = {{1, 3, 5, 7},
                           {1, 1, 1, 1},
                           {1, 4, 2, 3, true, false},
                           {1, 4, 2, 3, false, true},
                           {1, 5, 4, 3, true, true},
                           {3, 2, 4, 5},
                           {3, 2, 4, 5, true, true},
                           {4, 2, 3, 5, false, false, true},
                           {4, 2, 3, 5, true, false, true},
                           {2, 3, 4, 5, false, false, false, 2},
                           {3, 3, 4, 5, false, true, true, 1}};
  for (const Shape3& shape : shapes)
    for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16}) {
      INFO(name_of(dtype), " ", shape.batch, " of ", shape.m, " ", shape.n, " ", shape.k, ", transposed ",
           shape.a_transposed, shape.b_transposed);
      const Case c = make_case(shape, dtype);
      CHECK(product(c, stream0) == c.expected);
      CHECK(product(c, stream0, 1) == c.expected);  // aligned to no more than an element
    }
}

TEST_CASE("cuBLAS: TF32 only where it is allowed") {
  Case c = make_case({1, 1, 1, 1}, DType::f32);
  c.a = {1 + 0x1p-12}, c.b = {1};
  CHECK(product(c, stream0)[0] == 1 + 0x1p-12);
  c.args.allow_tf32 = true;
  CHECK(product(c, stream0)[0] == 1);
}

TEST_CASE("cuBLAS: streams of one thread keep their workspaces apart under every schedule") {
  const Stream other = Stream::create(Device(DeviceType::cuda, 0));
  const Case c = make_case({1, 5, 6, 7}, DType::f32);
  const sim::Schedule before = sim::schedule();
  for (const char* policy : {"fifo", "newest", "random", "starve:0", "pct:3"})
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      sim::set_schedule({.policy = policy, .seed = seed});
      const Operand a(c.a, DType::f32, stream0), b(c.b, DType::f32, stream0), y(30, DType::f32, stream0);
      const Operand a2(c.a, DType::f32, other), b2(c.b, DType::f32, other), y2(30, DType::f32, other);
      MatmulArgs args = c.args;
      for (int i = 0; i < 3; ++i) {
        args.a = a.data(), args.b = b.data(), args.c = y.data();
        matmul_kernel(args, stream0);
        args.a = a2.data(), args.b = b2.data(), args.c = y2.data();
        matmul_kernel(args, other);
      }
      CHECK(y.values() == c.expected);
      CHECK(y2.values() == c.expected);
    }
  sim::set_schedule(before);
}

TEST_CASE("cuBLAS: a thread that ended leaves its handle to the next, devices have handles of their own") {
  const Case c = make_case({1, 2, 2, 2}, DType::f32);
  const auto in_thread = [&](int device) {
    std::vector<double> result;
    std::thread([&] { result = product(c, {Device(DeviceType::cuda, device), 0}); }).join();
    CHECK(result == c.expected);
  };
  in_thread(1);
  sim::clear_faults();  // and the counters
  for (int i = 0; i < 4; ++i) in_thread(1);
  CHECK(sim::consulted(sim::FaultKind::cublas) == 4);  // products alone
  in_thread(2);
  in_thread(3);
  CHECK(sim::consulted(sim::FaultKind::cublas) >= 6);
}

TEST_CASE("cuBLAS: a failed call is an error that says so, and the next call works") {
  const Case c = make_case({1, 2, 3, 4}, DType::f32);
  CHECK(product(c, stream0) == c.expected);
  sim::clear_faults();
  sim::inject({.kind = sim::FaultKind::cublas, .code = CUBLAS_STATUS_ALLOC_FAILED});
  CHECK_THROWS_AS(product(c, stream0), OutOfMemory);
  sim::inject({.kind = sim::FaultKind::cublas, .code = CUBLAS_STATUS_INTERNAL_ERROR});
  CHECK_THROWS_WITH_AS(product(c, stream0), "matmul: cuBLAS failed with CUBLAS_STATUS_INTERNAL_ERROR (simulated)",
                       Error);
  sim::inject({.kind = sim::FaultKind::malloc, .nth = 3, .code = cudaErrorMemoryAllocation});  // the workspace, …
  CHECK(product(c, stream0) == c.expected);                                                    // … tried again
  CHECK(sim::fired(sim::FaultKind::cublas) == 2);
  CHECK(sim::fired(sim::FaultKind::malloc) == 1);
  sim::clear_faults();
  CHECK(product(c, stream0) == c.expected);
}

TEST_CASE("simulated cuBLAS: wrong calls are reported") {
  CHECK(Call{}() == CUBLAS_STATUS_SUCCESS);
  CHECK_FALSE(reported(""));

  CHECK(Call{.ld = 3}() == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(reported("leading dimension 3, less than its 4 rows"));
  CHECK(Call{.workspace = false}() == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(reported("no workspace since the stream was set"));

  {
    const Operand a(whole_numbers(17, 1), DType::f32, stream0), uninitialised(16, DType::f32, stream0);
    const char* const odd = static_cast<const char*>(a.data()) + 2;
    CHECK(Call{.a = reinterpret_cast<const float*>(odd)}() == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(reported("not aligned to its elements"));
    CHECK(Call{.a = static_cast<const float*>(uninitialised.data())}() == CUBLAS_STATUS_SUCCESS);
    CHECK(reported("cublasGemmEx"));
  }
  const Stream stream1{Device(DeviceType::cuda, 1), 0};
  const cuda::BlasScope blas(stream0, "test", 1);
  CHECK(cublasSetStream(blas.handle(), cuda::native(stream1)) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(reported("a stream of cuda:1 for a handle of cuda:0"));
  CHECK(cublasSetWorkspace(blas.handle(), nullptr, 1024) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(reported("less than 16 KiB"));
  std::thread([&] {
    const cuda::DeviceScope device(0);
    CHECK(cublasSetWorkspace(blas.handle(), nullptr, 1 << 20) == CUBLAS_STATUS_NOT_INITIALIZED);
  }).join();
  CHECK(reported("two threads use one handle"));
  {
    const cuda::DeviceScope device(2);
    CHECK(cublasSetStream(blas.handle(), cuda::native(stream0)) == CUBLAS_STATUS_NOT_INITIALIZED);
  }
  CHECK(reported("the handle belongs to cuda:0, the current device is cuda:2"));
}

TEST_CASE("simulated cuBLAS: a workspace that two streams use at once is reported") {
  const Stream side = Stream::create(Device(DeviceType::cuda, 0));
  const auto product_on = [](Stream stream, const Operand& workspace) {
    const Operand a(whole_numbers(16, 1), DType::f32, stream), c(16, DType::f32, stream);
    const cuda::BlasScope blas(stream, "test", 1);
    cuda::check(cublasSetWorkspace(blas.handle(), workspace.data(), 1 << 16), "test");
    const float one = 1, zero = 0;
    cuda::check(
        cublasGemmEx_64(blas.handle(), CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, a.data(), CUDA_R_32F, 4, a.data(),
                        CUDA_R_32F, 4, &zero, c.data(), CUDA_R_32F, 4, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
        "test");
  };
  const Operand workspace(1 << 14, DType::f32, stream0);
  stream0.synchronize();
  product_on(stream0, workspace);
  product_on(stream0, workspace);
  CHECK_FALSE(reported(""));
  product_on(stream0, workspace);
  product_on(side, workspace);
  CHECK(reported("no order between operations: cublasGemmEx"));
  side.synchronize();  // before the workspace is freed on the other stream
}

TEST_CASE("simulated cuBLAS: memory of another device is reported, and costs the device") {
  const Stream stream1{Device(DeviceType::cuda, 1), 0};
  void* const elsewhere = backend(DeviceType::cuda).allocate(64, stream1);
  CHECK(Call{.a = static_cast<const float*>(elsewhere)}() == CUBLAS_STATUS_SUCCESS);  // as on hardware: it runs later
  CHECK(reported("cuda:1"));
  CHECK_THROWS_AS(Call{}(), DeviceLost);
  fresh_devices();
  CHECK(Call{}() == CUBLAS_STATUS_SUCCESS);  // by a new handle
}
