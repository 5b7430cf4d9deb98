// matmul and conv2d on the CPU: which library computes a case, and by way of which type.
#include "weft/tensor/cpu/libraries.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "weft/tensor/cpu/eigen.h"
#include "weft/tensor/cpu/onednn.h"
#include "weft/tensor/ops/copy.h"
#include "weft/tensor/ops/geometry.h"
#include "weft/tensor/ops/unary.h"
#include "weft/tensor/storage.h"

namespace weft::cpu {

namespace {

// oneDNN needs some 0.3 us for a call; Eigen is done with 16x16x16 by then.
constexpr int64_t small_product = 16 * 16 * 16;

bool use_onednn = WEFT_HAS_ONEDNN;

bool is_half(DType dtype) { return dtype == DType::f16 || dtype == DType::bf16; }

// f32 copies of 16-bit operands.
class Widened {
 public:
  Widened(DType half, Stream stream) : half_(half), stream_(stream) {}

  Ref<Storage> make(int64_t numel) const {
    return allocate_storage(static_cast<size_t>(numel) * sizeof(float), stream_);
  }
  Ref<Storage> widen(int64_t numel, const void* x, const Collapsed* geometry = nullptr) const {
    Ref<Storage> wide = make(numel);
    copy_kernel({half_, DType::f32, numel, x, wide->data(), geometry}, stream_);
    return wide;
  }
  void narrow(int64_t numel, const Storage& wide, void* y) const {
    copy_kernel({DType::f32, half_, numel, wide.data(), y, nullptr}, stream_);
  }

 private:
  DType half_;
  Stream stream_;
};

Ref<Storage> widen_matrices(const Widened& widened, int64_t batch, int64_t distance, int64_t rows, int64_t columns,
                            int64_t row, const void* data) {
  const Shape shape{distance > 0 ? batch : 1, rows, columns};
  const std::array<Strides, 2> strides{strides_of(shape), Strides{distance, row, 1}};
  const Collapsed geometry = ops::collapse(shape, strides);
  return widened.widen(geometry.numel, data, &geometry);
}

void matmul(const MatmulArgs& args, Stream stream);

void matmul_in_float(const MatmulArgs& args, Stream stream) {
  const Widened widened(args.dtype, stream);
  const int64_t a_rows = args.a_transposed ? args.k : args.m, a_columns = args.a_transposed ? args.m : args.k;
  const int64_t b_rows = args.b_transposed ? args.n : args.k, b_columns = args.b_transposed ? args.k : args.n;
  const int64_t numel = args.batch * args.m * args.n;
  const auto a = widen_matrices(widened, args.batch, args.a_batch, a_rows, a_columns, args.a_row, args.a);
  const auto b = widen_matrices(widened, args.batch, args.b_batch, b_rows, b_columns, args.b_row, args.b);
  const auto c = widened.make(numel);
  MatmulArgs wide = args;
  wide.dtype = DType::f32;
  wide.a = a->data(), wide.a_row = a_columns, wide.a_batch = args.a_batch > 0 ? a_rows * a_columns : 0;
  wide.b = b->data(), wide.b_row = b_columns, wide.b_batch = args.b_batch > 0 ? b_rows * b_columns : 0;
  wide.c = c->data();
  matmul(wide, stream);
  widened.narrow(numel, *c, args.c);
}

// The same product for the whole batch.
void repeat(const MatmulArgs& args, Stream stream) {
  MatmulArgs one = args;
  one.batch = 1;
  matmul(one, stream);
  const int64_t bytes = args.m * args.n * size_of(args.dtype);
  for (int64_t i = 1; i < args.batch; ++i)
    std::memcpy(static_cast<char*>(args.c) + i * bytes, args.c, static_cast<size_t>(bytes));
}

void matmul(const MatmulArgs& args, Stream stream) {
  if (args.batch > 1 && args.a_batch == 0 && args.b_batch == 0) return repeat(args, stream);
  const bool small = args.m * args.n <= small_product / args.k;
  if constexpr (WEFT_HAS_ONEDNN)
    if (use_onednn && (!small || is_half(args.dtype)) && onednn_matmul(args, stream)) return;
  if (is_half(args.dtype)) return matmul_in_float(args, stream);
  eigen_matmul(args);
}

void conv2d(const Conv2dArgs& args, Stream stream);

void conv2d_in_float(const Conv2dArgs& args, Stream stream) {
  const Widened widened(args.dtype, stream);
  const int64_t x_numel = args.n * args.c * args.h * args.w;
  const int64_t w_numel = args.o * args.kh * args.kw * (args.c / args.groups);
  const int64_t y_numel = args.n * args.o * args.oh * args.ow;
  const auto operand = [&](ConvPass made_by, int64_t numel, void* data) {
    return args.pass == made_by ? widened.make(numel) : widened.widen(numel, data);
  };
  const auto x = operand(ConvPass::data, x_numel, args.x_data);
  const auto w = operand(ConvPass::filter, w_numel, args.w_data);
  const auto y = operand(ConvPass::forward, y_numel, args.y_data);
  const auto bias = args.bias ? widened.widen(args.o, args.bias) : Ref<Storage>();
  Conv2dArgs wide = args;
  wide.dtype = DType::f32;
  wide.x_data = x->data(), wide.w_data = w->data(), wide.y_data = y->data();
  wide.bias = bias ? bias->data() : nullptr;
  conv2d(wide, stream);
  switch (args.pass) {
    case ConvPass::forward:
      return widened.narrow(y_numel, *y, args.y_data);
    case ConvPass::data:
      return widened.narrow(x_numel, *x, args.x_data);
    case ConvPass::filter:
      return widened.narrow(w_numel, *w, args.w_data);
  }
}

// In place and after the libraries: oneDNN's own ReLU makes 0 of NaN, and would hide that a training has gone wrong.
void rectify(const Conv2dArgs& args, Stream stream) {
  const int64_t numel = args.n * args.oh * args.ow * args.o;
  unary_kernel({UnaryOp::relu, 0, args.dtype, 0, 0, numel, args.y_data, nullptr, nullptr, args.y_data}, stream);
}

bool by_onednn(const Conv2dArgs& args, Stream stream) {
  if constexpr (WEFT_HAS_ONEDNN) return use_onednn && onednn_conv2d(args, stream);
  return false;
}

void conv2d(const Conv2dArgs& args, Stream stream) {
  if (!by_onednn(args, stream)) {
    if (is_half(args.dtype)) return conv2d_in_float(args, stream);
    eigen_conv2d(args, stream);
  }
  if (args.relu) rectify(args, stream);
}

}  // namespace

void plug_libraries() {
  const char* choice = std::getenv("WEFT_ONEDNN");  // 0: by Eigen, as in a build without oneDNN
  if (choice && std::string_view(choice) == "0") use_onednn = false;
  matmul_kernel.plug(DeviceType::cpu, &matmul);
  conv2d_kernel.plug(DeviceType::cpu, &conv2d);
}

}  // namespace weft::cpu
