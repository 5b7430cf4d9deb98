// Every small mutant is reported, and its right twin is not, under every policy and order of threads and blocks.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <string>

#include "../mutants/host.h"
#include "../mutants/kernels.h"
#include "sim.h"
#include "support.h"

namespace weft::sim {
namespace {

using namespace mutants;

void run_kernel_case(const KernelCase& test, bool wrong) {
  CAPTURE(std::string(test.name));
  CAPTURE(wrong);
  reset();
  cudaStream_t stream;
  REQUIRE(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
  test.run(wrong, stream);
  CHECK(cudaStreamSynchronize(stream) == (wrong ? test.status : cudaSuccess));
  const std::vector<std::string> texts = take_reports();
  CAPTURE(joined(texts));
  if (wrong) {
    REQUIRE(contains(texts, test.report));
  } else {
    CHECK(texts.empty());
  }
}

void run_host_case(const HostCase& test, bool wrong) {
  CAPTURE(test.name);
  CAPTURE(wrong);
  reset();
  test.run(wrong);
  const std::vector<std::string> texts = take_reports();
  CAPTURE(joined(texts));
  if (wrong) {
    REQUIRE(
        std::any_of(test.reports.begin(), test.reports.end(), [&](const auto& part) { return contains(texts, part); }));
  } else {
    CHECK(texts.empty());
  }
}

TEST_CASE("kernels: right ones are clean, wrong ones are reported, whatever the order of threads and blocks") {
  for (Order order : {Order::ascending, Order::descending, Order::shuffled}) {
    for (uint64_t seed = first_seed(); seed < first_seed() + (order == Order::shuffled ? 3 : 1); ++seed) {
      CAPTURE(static_cast<int>(order));
      CAPTURE(seed);
      set_schedule({.policy = "fifo", .seed = seed, .threads = order, .blocks = order});
      for (int i = 0; i < kernel_case_count; ++i) {
        run_kernel_case(kernel_cases[i], false);
        run_kernel_case(kernel_cases[i], true);
      }
    }
  }
  MESSAGE(kernel_case_count, " small mutants of kernels, all reported");
}

TEST_CASE("host code: right ones are clean, wrong ones are reported, under every policy") {
  for (const char* policy : policies) {
    for (uint64_t seed = first_seed(); seed < first_seed() + 3; ++seed) {
      CAPTURE(std::string(policy));
      CAPTURE(seed);
      set_schedule({.policy = policy, .seed = seed});
      for (const HostCase& test : host_cases()) {
        run_host_case(test, false);
        run_host_case(test, true);
      }
    }
  }
  MESSAGE(host_cases().size(), " small mutants of host code, all reported");
}

TEST_CASE("host code that touches device memory stops with the allocation's name") {
  reset();
  set_schedule({});
  int status = 0;
  const std::string text = stderr_of(
      [] {
        signal(SIGSEGV, SIG_DFL);  // not the handler of the test framework
        (void)cudaSetDevice(1);
        void* x = nullptr;
        (void)cudaMalloc(&x, 256);
        cudaStream_t stream;
        (void)cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        (void)set(static_cast<float*>(x), 64, 1, stream);
        (void)cudaStreamSynchronize(stream);
        static_cast<volatile float*>(x)[16] = 1;
      },
      status);
  CAPTURE(text);
  CHECK(text.find("cuda simulator: host code dereferenced cuda:1 allocation #1 (256 bytes, made by set), +0x40") !=
        std::string::npos);
  CHECK(WIFSIGNALED(status));
}

TEST_CASE("host code may touch device memory inside a DeviceAccess") {
  reset();
  void* x = nullptr;
  REQUIRE(cudaMalloc(&x, 256) == cudaSuccess);
  {
    const DeviceAccess access(0);
    static_cast<float*>(x)[16] = 1;
    CHECK(static_cast<float*>(x)[16] == 1);
  }
  CHECK(take_reports().empty());
}

}  // namespace
}  // namespace weft::sim
