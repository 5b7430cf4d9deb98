// A build with CUDA on a machine without a usable GPU: weft says why, and computes on the CPU.
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/support/child.h"
#include "weft/weft.h"

using namespace weft;

namespace {

// Everything that is promised, in a process that sees no GPU. Prints what is wrong.
int wrong = 0;
void expect(bool condition, const std::string& what) {
  if (condition) return;
  ++wrong;
  std::cout << "wrong: " << what << "\n";
}

std::string expected_reason() {
  int driver = 0, runtime = 0;
  static_cast<void>(cudaDriverGetVersion(&driver));
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  const std::string version = std::to_string(runtime / 1000) + "." + std::to_string(runtime % 1000 / 10);
  return driver == 0 ? "no CUDA driver (weft was built for CUDA " + version + ")"
                     : "the driver sees no device (CUDA_VISIBLE_DEVICES is '')";
}

void expect_refusal() {
  try {
    static_cast<void>(zeros({2}, {.device = "cuda:0"}));
    expect(false, "a tensor was made on cuda:0");
  } catch (const DeviceError& error) {
    const std::string text = error.what();
    expect(text.find(expected_reason()) != std::string::npos, "the refusal reads: " + text);
  }
}

}  // namespace

CHILD(without_a_gpu) {
  setenv("CUDA_VISIBLE_DEVICES", "", 1);
  expect(device_count(DeviceType::cuda) == 0, "there are CUDA devices");
  const std::string why = why_unavailable(DeviceType::cuda);
  expect(why == "cuda is not available: " + expected_reason() + "; weft uses the CPU", "the reason reads: " + why);
  expect(!available_devices().empty() && available_devices()[0] == Device("cpu:0"), "the CPU is not what is available");
  expect_refusal();

  Tensor x = ones({1, 2, 4, 4}), w = ones({3, 2, 3, 3});
  w.attach_grad();
  Tensor loss;
  {
    autograd::Record record;
    loss = sum(relu(conv2d(x, w, {.padding = 1})));  // whole numbers: exact in any order
  }
  loss.backward();
  expect(loss.item<float>() == 600, "the loss is " + std::to_string(loss.item<float>()));
  expect(w.grad().sum().item<float>() == 600, "the gradient sums to " + std::to_string(w.grad().sum().item<float>()));
  expect(matmul(ones({2, 3}), ones({3, 2})).sum().item<float>() == 12, "the product");

  expect_refusal();  // still, after everything was loaded
  synchronize();
  std::exit(wrong == 0 ? 0 : 1);
}

TEST_CASE("no driver: weft says why and uses the CPU") {
  const test::ChildResult result = test::run_child("without_a_gpu");
  CHECK_MESSAGE(result.status == 0, result.output);
}
