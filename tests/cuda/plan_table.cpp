// Asks the real cuDNN, without a GPU, for a plan of every convolution that weft's networks contain: each pass in f64,
// f32, TF32, bf16 and f16, and forward with a bias and with bias and ReLU where weft asks for that in one pass, on an
// H100 described in words. Prints which engine each gets. Where cuDNN has no plan the CUDA backend computes with its
// plain kernel; such cells are printed with cuDNN's reason, and the program exits with 1.
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "devices.h"
#include "weft/cuda/dnn_plan.h"

using namespace weft;
using cuda::Convolution;

namespace {

struct Shape2d {
  const char* where;
  int64_t n, c, size, o, kernel;
  int64_t stride = 1, dilation = 1, groups = 1;
  int64_t before = -1, behind = -1;  // -1: so that stride 1 keeps the size
};

// Crop 480, so features of 60 x 60 at stride 8.
const std::vector<Shape2d> shapes = {
    {.where = "7x7 stem", .n = 8, .c = 3, .size = 480, .o = 64, .kernel = 7, .stride = 2},
    {.where = "3x3 stem, v1s", .n = 8, .c = 3, .size = 480, .o = 64, .kernel = 3, .stride = 2},
    {.where = "3x3 stem, v1c", .n = 8, .c = 3, .size = 480, .o = 32, .kernel = 3, .stride = 2},
    {.where = "stem, second", .n = 8, .c = 64, .size = 240, .o = 64, .kernel = 3},
    {.where = "stem, third", .n = 8, .c = 64, .size = 240, .o = 128, .kernel = 3},
    {.where = "layer1 reduce", .n = 8, .c = 128, .size = 120, .o = 64, .kernel = 1},
    {.where = "layer1 3x3", .n = 8, .c = 64, .size = 120, .o = 64, .kernel = 3},
    {.where = "layer1 expand", .n = 8, .c = 64, .size = 120, .o = 256, .kernel = 1},
    {.where = "64 -> 128", .n = 8, .c = 64, .size = 120, .o = 128, .kernel = 3},
    {.where = "layer2 3x3 s2", .n = 8, .c = 128, .size = 120, .o = 128, .kernel = 3, .stride = 2},
    {.where = "layer2 shortcut", .n = 8, .c = 256, .size = 120, .o = 512, .kernel = 1, .stride = 2},
    {.where = "layer2 expand", .n = 8, .c = 128, .size = 60, .o = 512, .kernel = 1},
    {.where = "layer3 3x3", .n = 8, .c = 256, .size = 60, .o = 256, .kernel = 3},
    {.where = "layer3 3x3 d2", .n = 8, .c = 256, .size = 60, .o = 256, .kernel = 3, .dilation = 2},
    {.where = "layer3 expand", .n = 8, .c = 256, .size = 60, .o = 1024, .kernel = 1},
    {.where = "layer4 3x3 d2", .n = 8, .c = 512, .size = 60, .o = 512, .kernel = 3, .dilation = 2},
    {.where = "layer4 3x3 d4", .n = 8, .c = 512, .size = 60, .o = 512, .kernel = 3, .dilation = 4},
    {.where = "layer4 expand", .n = 8, .c = 512, .size = 60, .o = 2048, .kernel = 1},
    {.where = "FCN head", .n = 8, .c = 2048, .size = 60, .o = 512, .kernel = 3},
    {.where = "auxiliary head", .n = 8, .c = 1024, .size = 60, .o = 256, .kernel = 3},
    {.where = "19 classes", .n = 8, .c = 512, .size = 60, .o = 19, .kernel = 1},
    {.where = "21 classes", .n = 8, .c = 512, .size = 60, .o = 21, .kernel = 1},
    {.where = "150 classes", .n = 8, .c = 512, .size = 60, .o = 150, .kernel = 1},
    {.where = "PSP bin 1", .n = 8, .c = 2048, .size = 1, .o = 512, .kernel = 1},
    {.where = "PSP bin 6", .n = 8, .c = 2048, .size = 6, .o = 512, .kernel = 1},
    {.where = "PSP head", .n = 8, .c = 4096, .size = 60, .o = 512, .kernel = 3},
    {.where = "ASPP 1x1", .n = 8, .c = 2048, .size = 60, .o = 256, .kernel = 1},
    {.where = "ASPP d12", .n = 8, .c = 2048, .size = 60, .o = 256, .kernel = 3, .dilation = 12},
    {.where = "ASPP d24", .n = 8, .c = 2048, .size = 60, .o = 256, .kernel = 3, .dilation = 24},
    {.where = "ASPP d36", .n = 8, .c = 2048, .size = 60, .o = 256, .kernel = 3, .dilation = 36},
    {.where = "ASPP merge", .n = 8, .c = 1280, .size = 60, .o = 256, .kernel = 1},
    {.where = "decoder", .n = 8, .c = 304, .size = 120, .o = 256, .kernel = 3},
    {.where = "depthwise 64", .n = 8, .c = 64, .size = 240, .o = 64, .kernel = 3, .groups = 64},
    {.where = "depthwise 128 s2", .n = 8, .c = 128, .size = 240, .o = 128, .kernel = 3, .stride = 2, .groups = 128},
    {.where = "depthwise 728 d2", .n = 8, .c = 728, .size = 60, .o = 728, .kernel = 3, .dilation = 2, .groups = 728},
    {.where = "depthwise 1536 d4",
     .n = 8,
     .c = 1536,
     .size = 60,
     .o = 1536,
     .kernel = 3,
     .dilation = 4,
     .groups = 1536},
    {.where = "32 groups", .n = 8, .c = 256, .size = 60, .o = 256, .kernel = 3, .groups = 32},
    {.where = "2 groups, 48 -> 40", .n = 8, .c = 48, .size = 60, .o = 40, .kernel = 3, .groups = 2},
    {.where = "U-Net up", .n = 8, .c = 1024, .size = 60, .o = 512, .kernel = 3},
    {.where = "padding behind",
     .n = 8,
     .c = 64,
     .size = 120,
     .o = 64,
     .kernel = 3,
     .stride = 2,
     .before = 0,
     .behind = 1},
    {.where = "padding 1 and 2", .n = 8, .c = 64, .size = 60, .o = 64, .kernel = 4, .before = 1, .behind = 2},
    {.where = "one image", .n = 1, .c = 2048, .size = 60, .o = 512, .kernel = 3},
    {.where = "7 channels", .n = 3, .c = 7, .size = 13, .o = 5, .kernel = 3},
    {.where = "1 channel", .n = 1, .c = 1, .size = 5, .o = 1, .kernel = 3, .before = 0, .behind = 0},
};

struct Column {
  const char* name;
  DType dtype;
  bool tf32;
};
constexpr Column columns[] = {{"f64", DType::f64, false},
                              {"f32", DType::f32, false},
                              {"TF32", DType::f32, true},
                              {"bf16", DType::bf16, false},
                              {"f16", DType::f16, false}};

// No operand has an address here; null is aligned.
Convolution convolution(const Shape2d& s, ConvPass pass, const Column& column) {
  const int64_t span = s.dilation * (s.kernel - 1) + 1;
  const int64_t before = s.before < 0 ? (span - 1) / 2 : s.before, behind = s.behind < 0 ? (span - 1) / 2 : s.behind;
  const int64_t out = (s.size + before + behind - span) / s.stride + 1;
  Conv2dArgs args = {};
  args.pass = pass;
  args.dtype = column.dtype;
  args.allow_tf32 = column.tf32;
  args.n = s.n, args.c = s.c, args.h = s.size, args.w = s.size;
  args.o = s.o, args.kh = s.kernel, args.kw = s.kernel;
  args.oh = out, args.ow = out;
  args.groups = s.groups;
  args.stride_h = args.stride_w = s.stride;
  args.dilation_h = args.dilation_w = s.dilation;
  args.top = args.left = before;
  args.bottom = args.right = behind;
  return cuda::describe(args, false);
}

// "38 T 284M": the engine's number, its notes' initials, the workspace.
std::string cell(const cuda::ConvPlan& plan) {
  std::string text = std::to_string(plan.engine);
  if (plan.notes.find("TENSOR_CORE") != std::string::npos) text += " T";
  if (plan.notes.find("STRICT_NAN_PROP") != std::string::npos) text += " S";
  if (const int64_t mib = (plan.workspace + (1 << 20) - 1) >> 20; mib > 0) text += " " + std::to_string(mib) + "M";
  return text + " #" + std::to_string(plan.position);
}

struct Row {
  const char* name;
  ConvPass pass;
  bool bias, relu;
};
constexpr Row rows[] = {{"forward", ConvPass::forward, false, false},
                        {"+ bias", ConvPass::forward, true, false},
                        {"+ relu", ConvPass::forward, true, true},
                        {"data", ConvPass::data, false, false},
                        {"filter", ConvPass::filter, false, false}};

struct Table {
  const cuda::PlanTarget target{std::string_view(test::h100)};
  int planned = 0, after = 0;
  std::vector<std::string> plain = {};

  // What is not done in one pass is done by a kernel after it: always in strict f32, see fuses() in ops/conv2d.cpp.
  std::string cell_of(const Shape2d& shape, const Row& row, const Column& column) {
    Convolution key = convolution(shape, row.pass, column);
    key.bias = row.bias;
    key.relu = row.relu;
    if (row.bias && column.dtype == DType::f32 && !column.tf32) return "after it";
    const cuda::FoundPlan found = cuda::find_plan(key, target);
    if (!found.plan && row.bias) {
      ++after;
      return "after it";
    }
    if (!found.plan) {
      plain.push_back(to_string(key) + ": " + found.why);
      return "plain kernel";
    }
    ++planned;
    return cell(*found.plan);
  }
};

int run() {
  const auto start = std::chrono::steady_clock::now();
  std::printf("cuDNN %zu. Engine, T: tensor cores, S: strict about NaN, workspace in MiB, #: place in the ranking.\n",
              cudnnGetVersion());
  std::printf("%-19s %-8s", "convolution", "pass");
  for (const Column& column : columns) std::printf(" %-14s", column.name);
  std::printf("\n");
  Table table;
  for (const Shape2d& shape : shapes) {
    for (const Row& row : rows) {
      std::printf("%-19s %-8s", &row == rows ? shape.where : "", row.name);
      for (const Column& column : columns) std::printf(" %-14s", table.cell_of(shape, row, column).c_str());
      std::printf("\n");
    }
  }
  for (const std::string& line : table.plain) std::printf("plain kernel: %s\n", line.c_str());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf(
      "%zu convolutions in 3 passes and 5 types, with a bias, also with a ReLU, in 4: %d by cuDNN, %zu by the plain "
      "kernel, "
      "%d with a kernel for them after it; %.1f s\n",
      shapes.size(), table.planned, table.plain.size(), table.after, seconds);
  return table.plain.empty() ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "plan_table: %s\n", error.what());
    return 2;
  }
}
