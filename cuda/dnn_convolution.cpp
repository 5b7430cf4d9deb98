#include "weft/cuda/dnn_convolution.h"

#include <algorithm>

#include "weft/tensor/error.h"

namespace weft::cuda {

namespace {

// FNV-1a
void mix(uint64_t& hash, int64_t value) { hash = (hash ^ static_cast<uint64_t>(value)) * 0x100000001b3u; }

// The padding behind that gives `out` outputs: that before if it does, else the given one.
int64_t padding_behind(int64_t in, int64_t before, int64_t behind, int64_t span, int64_t stride, int64_t out) {
  const int64_t room = in + 2 * before - span;
  return room >= 0 && room / stride + 1 == out ? before : behind;
}

}  // namespace

Convolution describe(const Conv2dArgs& a, bool nondeterministic) {
  Convolution key;
  key.pass = a.pass;
  key.dtype = a.dtype;
  key.tf32 = a.allow_tf32 && a.dtype == DType::f32;
  key.nondeterministic = nondeterministic;
  key.bias = a.bias != nullptr;
  key.relu = a.relu;
  const auto addresses = reinterpret_cast<uintptr_t>(a.x_data) | reinterpret_cast<uintptr_t>(a.w_data) |
                         reinterpret_cast<uintptr_t>(a.y_data) | reinterpret_cast<uintptr_t>(a.bias);
  key.alignment = addresses % 16 == 0 ? 16 : size_of(a.dtype);
  key.n = a.n, key.c = a.c, key.h = a.h, key.w = a.w;
  key.o = a.o, key.kh = a.kh, key.kw = a.kw;
  key.oh = a.oh, key.ow = a.ow;
  key.groups = a.groups;
  key.stride_h = a.stride_h, key.stride_w = a.stride_w;
  key.dilation_h = a.dilation_h, key.dilation_w = a.dilation_w;
  key.top = a.top, key.left = a.left;
  key.bottom = padding_behind(a.h, a.top, a.bottom, a.dilation_h * (a.kh - 1) + 1, a.stride_h, a.oh);
  key.right = padding_behind(a.w, a.left, a.right, a.dilation_w * (a.kw - 1) + 1, a.stride_w, a.ow);
  return key;
}

size_t ConvolutionHash::operator()(const Convolution& key) const noexcept {
  uint64_t hash = 0xcbf29ce484222325u;
  mix(hash, static_cast<int64_t>(key.pass) | static_cast<int64_t>(key.dtype) << 8 | int64_t{key.tf32} << 16 |
                int64_t{key.nondeterministic} << 17 | int64_t{key.bias} << 18 | int64_t{key.relu} << 19);
  for (const int64_t value :
       {key.alignment, key.n, key.c, key.h, key.w, key.o, key.kh, key.kw, key.oh, key.ow, key.groups, key.stride_h,
        key.stride_w, key.dilation_h, key.dilation_w, key.top, key.bottom, key.left, key.right})
    mix(hash, value);
  return static_cast<size_t>(hash ^ hash >> 32);
}

int64_t images_at_once(const Conv2dArgs& a) {
  constexpr int64_t most = (int64_t{1} << 31) - 1;
  if (a.o * a.kh * a.kw * (a.c / a.groups) > most) return 0;
  const int64_t images = std::min(a.n, most / std::max(a.h * a.w * a.c, a.oh * a.ow * a.o));
  return a.pass == ConvPass::filter && images < a.n ? 0 : images;
}

Conv2dArgs images_of(const Conv2dArgs& args, int64_t first, int64_t count) {
  Conv2dArgs part = args;
  part.n = count;
  part.x_data = static_cast<char*>(args.x_data) + first * args.h * args.w * args.c * size_of(args.dtype);
  part.y_data = static_cast<char*>(args.y_data) + first * args.oh * args.ow * args.o * size_of(args.dtype);
  return part;
}

std::string to_string(const Convolution& key) {
  static constexpr const char* passes[] = {"forward", "data", "filter"};
  const auto pair = [](int64_t h, int64_t w) {
    return h == w ? std::to_string(h) : std::to_string(h) + "," + std::to_string(w);
  };
  return weft::detail::concat(passes[static_cast<int>(key.pass)], " ", key.tf32 ? "tf32" : name_of(key.dtype), " ",
                              key.n, "x", key.c, "x", key.h, "x", key.w, ", ", key.o, " of ", key.kh, "x", key.kw, " s",
                              pair(key.stride_h, key.stride_w), " d", pair(key.dilation_h, key.dilation_w), " g",
                              key.groups, " p", pair(key.top, key.left),
                              key.top == key.bottom && key.left == key.right ? "" : ":" + pair(key.bottom, key.right),
                              key.bias ? " + bias" : "", key.relu ? " + relu" : "");
}

}  // namespace weft::cuda
