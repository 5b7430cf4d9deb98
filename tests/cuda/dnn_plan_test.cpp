// Plans of the real cuDNN, for devices described in words: no GPU is needed.
#include "weft/cuda/dnn_plan.h"

#include <doctest/doctest.h>

#include "tests/cuda/devices.h"
#include "weft/tensor/error.h"

using namespace weft;
using cuda::Convolution;

namespace {

constexpr ConvPass passes[] = {ConvPass::forward, ConvPass::data, ConvPass::filter};

Convolution three_by_three(ConvPass pass = ConvPass::forward, DType dtype = DType::f32) {
  Convolution key;
  key.pass = pass, key.dtype = dtype;
  key.n = 4, key.c = 64, key.h = key.w = 60;
  key.o = 96, key.kh = key.kw = 3;
  key.oh = key.ow = 60;
  key.top = key.bottom = key.left = key.right = 1;
  return key;
}

Conv2dArgs arguments(int64_t size, int64_t top, int64_t bottom, int64_t stride, int64_t out) {
  Conv2dArgs args = {};
  args.dtype = DType::f32;
  args.n = 1, args.c = 2, args.h = args.w = size;
  args.o = 2, args.kh = args.kw = 3;
  args.oh = args.ow = out;
  args.groups = 1, args.stride_h = args.stride_w = stride, args.dilation_h = args.dilation_w = 1;
  args.top = args.left = top, args.bottom = args.right = bottom;
  return args;
}

bool notes(const cuda::FoundPlan& found, const char* note) { return found.plan->notes.find(note) != std::string::npos; }

}  // namespace

TEST_CASE("cuDNN plans: strict f32, deterministic always, on two kinds of device") {
  for (const char* device : {test::h100, test::a100}) {
    const cuda::PlanTarget target{std::string_view(device)};
    for (const ConvPass pass : passes)
      for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16}) {
        const Convolution key = three_by_three(pass, dtype);
        INFO(to_string(key));
        const cuda::FoundPlan found = cuda::find_plan(key, target);
        REQUIRE(found.plan);
        CHECK_FALSE(notes(found, "NONDETERMINISTIC"));
        CHECK_FALSE(notes(found, "REDUCED_PRECISION_REDUCTION"));
        if (dtype == DType::f32) CHECK_FALSE(notes(found, "TENSOR_CORE"));
        if (dtype == DType::f16) CHECK(notes(found, "TENSOR_CORE"));
        CHECK(found.plan->workspace <= cuda::max_conv_workspace);
      }
  }
}

TEST_CASE("cuDNN plans: TF32 and nondeterministic sums when they are asked for") {
  const cuda::PlanTarget target{std::string_view(test::h100)};
  Convolution key = three_by_three();
  key.tf32 = true;
  CHECK(notes(cuda::find_plan(key, target), "TENSOR_CORE"));
  key = three_by_three(ConvPass::data, DType::f64);
  key.nondeterministic = true;
  CHECK(notes(cuda::find_plan(key, target), "NONDETERMINISTIC"));
}

TEST_CASE("cuDNN plans: a bias, and a ReLU, in the same pass, for every type and alignment") {
  const cuda::PlanTarget target{std::string_view(test::h100)};
  for (const bool relu : {false, true})
    for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16})
      for (const int64_t alignment : {int64_t{16}, size_of(dtype)}) {
        Convolution key = three_by_three(ConvPass::forward, dtype);
        key.alignment = alignment;
        key.bias = true;
        key.relu = relu;
        INFO(to_string(key));
        const cuda::FoundPlan found = cuda::find_plan(key, target);
        REQUIRE_MESSAGE(found.plan, found.why);
        CHECK_FALSE(notes(found, "NONDETERMINISTIC"));
        if (dtype == DType::f32) CHECK_FALSE(notes(found, "TENSOR_CORE"));
      }
}

TEST_CASE("cuDNN plans: operands that are aligned to their elements only have plans too") {
  const cuda::PlanTarget target{std::string_view(test::h100)};
  for (const ConvPass pass : passes)
    for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16}) {
      Convolution key = three_by_three(pass, dtype);
      key.alignment = size_of(dtype);
      INFO(to_string(key));
      CHECK(cuda::find_plan(key, target).plan);
    }
}

TEST_CASE("cuDNN plans: the same every time") {
  const cuda::PlanTarget target{std::string_view(test::h100)}, again{std::string_view(test::h100)};
  for (const ConvPass pass : passes) {
    const cuda::FoundPlan first = cuda::find_plan(three_by_three(pass), target);
    const cuda::FoundPlan second = cuda::find_plan(three_by_three(pass), again);
    CHECK(first.plan->engine == second.plan->engine);
    CHECK(first.plan->position == second.plan->position);
    CHECK(first.plan->workspace == second.plan->workspace);
  }
}

TEST_CASE("cuDNN plans: several in the order of the ranking, and each again at its place in it") {
  const cuda::PlanTarget target{std::string_view(test::h100)};
  for (const ConvPass pass : passes)
    for (const DType dtype : {DType::f32, DType::f16}) {
      const Convolution key = three_by_three(pass, dtype);
      INFO(to_string(key));
      const cuda::FoundPlans found = cuda::find_plans(key, target, 4);
      CHECK(found.plans.size() == 4);
      int place = -1;
      for (const cuda::ConvPlan& plan : found.plans) {
        CHECK(plan.position > place);
        place = plan.position;
        const cuda::FoundPlans again = cuda::find_plans(key, target, 1, place);
        REQUIRE(again.plans.size() == 1);
        CHECK(again.plans[0].position == place);
        CHECK(again.plans[0].engine == plan.engine);
        CHECK(again.plans[0].notes == plan.notes);
        CHECK(again.plans[0].workspace == plan.workspace);
      }
      const cuda::FoundPlans beyond = cuda::find_plans(key, target, 1, 10000);
      CHECK(beyond.plans.empty());
      CHECK(beyond.why.find("cuDNN has no plan: of ") == 0);
    }
}

TEST_CASE("cuDNN plans: what cannot be planned says why, what is no device throws") {
  const cuda::PlanTarget target{std::string_view(test::h100)};
  Convolution key = three_by_three();
  key.oh = 61;
  const cuda::FoundPlan found = cuda::find_plan(key, target);
  CHECK_FALSE(found.plan);
  CHECK(found.why.find("cuDNN has no plan: CUDNN_STATUS_BAD_PARAM") == 0);
  CHECK_THROWS_AS(cuda::PlanTarget{std::string_view("a fast one")}, Error);
}

TEST_CASE("convolution keys: padding that no output reads does not matter") {
  // 3 wide, stride 2: of 8 with 1 before, the outputs 0 … 3 read up to element 7 whether 0 or 1 follows.
  const Convolution a = cuda::describe(arguments(8, 1, 0, 2, 4), false),
                    b = cuda::describe(arguments(8, 1, 1, 2, 4), false);
  CHECK(a == b);
  CHECK(a.bottom == 1);
  CHECK(cuda::ConvolutionHash()(a) == cuda::ConvolutionHash()(b));
  // Of 8 with 0 before, the last output needs the one behind.
  const Convolution c = cuda::describe(arguments(8, 0, 1, 2, 4), false);
  CHECK(c.bottom == 1);
  CHECK(c.top == 0);
  CHECK_FALSE(a == c);
}

TEST_CASE("convolution keys: alignment, TF32, determinism, a bias and a ReLU belong to them") {
  Conv2dArgs args = arguments(8, 1, 1, 1, 8);
  const Convolution aligned = cuda::describe(args, false);
  CHECK(aligned.alignment == 16);
  args.w_data = reinterpret_cast<void*>(4);
  CHECK(cuda::describe(args, false).alignment == 4);
  args.w_data = nullptr;
  const float bias[2] = {};
  args.bias = bias;
  CHECK_FALSE(cuda::describe(args, false) == aligned);
  CHECK(to_string(cuda::describe(args, false)) == to_string(aligned) + " + bias");
  args.relu = true;
  CHECK(to_string(cuda::describe(args, false)) == to_string(aligned) + " + bias + relu");
  const Convolution rectified = cuda::describe(args, false);
  args.relu = false;
  CHECK_FALSE(cuda::describe(args, false) == rectified);
  args.bias = nullptr;
  args.allow_tf32 = true;
  CHECK(cuda::describe(args, false).tf32);
  CHECK_FALSE(cuda::describe(args, false) == aligned);
  CHECK_FALSE(cuda::describe(args, true) == cuda::describe(args, false));
  args.dtype = DType::f16;
  CHECK_FALSE(cuda::describe(args, false).tf32);  // there is nothing to allow
}

TEST_CASE("convolutions of more than 2^31 elements are cut into images") {
  Conv2dArgs args = arguments(1 << 10, 1, 1, 1, 1 << 10);
  args.c = 64;  // 2^26 elements of x an image
  args.n = 100;
  CHECK(cuda::images_at_once(args) == 31);
  const Conv2dArgs part = cuda::images_of(args, 31, 31);
  CHECK(part.n == 31);
  CHECK(reinterpret_cast<uintptr_t>(part.x_data) == uintptr_t{31} << 28);
  CHECK(reinterpret_cast<uintptr_t>(part.y_data) == uintptr_t{31} << 23);
  CHECK(part.w_data == args.w_data);
  args.pass = ConvPass::filter;
  CHECK(cuda::images_at_once(args) == 0);
  args.n = 31;
  CHECK(cuda::images_at_once(args) == 31);
  args.c = 4096;  // one image is too large
  CHECK(cuda::images_at_once(args) == 0);
}
