// oneDNN without weft: products and the three passes of a convolution, memory and primitives made once.
#pragma once

#include <dnnl.hpp>

#include <cstdint>
#include <unordered_map>

namespace weft::bench {

class Bare {
 protected:
  using Dims = dnnl::memory::dims;
  using Tag = dnnl::memory::format_tag;
  static dnnl::memory::desc desc(const Dims& dims, Tag tag) { return {dims, dnnl::memory::data_type::f32, tag}; }
  dnnl::memory filled(const dnnl::memory::desc& d) {
    dnnl::memory m(d, engine_);
    auto* values = static_cast<float*>(m.get_data_handle());
    for (size_t i = 0; i < d.get_size() / sizeof(float); ++i) values[i] = static_cast<float>(i % 13) - 6;
    return m;
  }
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
};

/// c = a b, square, row-major.
class BareProduct : Bare {
 public:
  explicit BareProduct(int64_t n) {
    const auto d = desc({n, n}, Tag::ab);
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc pd(engine_, d, d, d);
#else
    const dnnl::matmul::primitive_desc pd({d, d, d}, engine_);
#endif
    product_ = dnnl::matmul(pd);
    for (const int arg : {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}) args_.emplace(arg, filled(d));
  }
  void run() {
    product_.execute(stream_, args_);
    stream_.wait();
  }

 private:
  dnnl::matmul product_;
  std::unordered_map<int, dnnl::memory> args_;
};

/// Activations channels-last, weights in the layout that oneDNN likes best.
class BareConvolution : Bare {
 public:
  BareConvolution(int64_t n, int64_t c, int64_t size, int64_t o, int64_t kernel, int64_t stride, int64_t padding,
                  int64_t dilation) {
    const int64_t out = (size + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
    const auto x = desc({n, c, size, size}, Tag::nhwc), y = desc({n, o, out, out}, Tag::nhwc);
    const auto w = desc({o, c, kernel, kernel}, Tag::any);
    const Dims s{stride, stride}, d{dilation - 1, dilation - 1}, p{padding, padding};
    const auto algorithm = dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
    const auto kind = dnnl::prop_kind::forward_training;
    const dnnl::convolution_forward::primitive_desc fp(engine_, kind, algorithm, x, w, y, s, d, p, p);
    const dnnl::convolution_backward_data::primitive_desc dp(engine_, algorithm, x, w, y, s, d, p, p, fp);
    const dnnl::convolution_backward_weights::primitive_desc wp(engine_, algorithm, x, w, y, s, d, p, p, fp);
#else
    const auto kind = dnnl::prop_kind::forward_training;
    const dnnl::convolution_forward::primitive_desc fp({kind, algorithm, x, w, y, s, d, p, p}, engine_);
    const dnnl::convolution_backward_data::primitive_desc dp({algorithm, x, w, y, s, d, p, p}, engine_, fp);
    const dnnl::convolution_backward_weights::primitive_desc wp({algorithm, x, w, y, s, d, p, p}, engine_, fp);
#endif
    forward_ = dnnl::convolution_forward(fp);
    data_ = dnnl::convolution_backward_data(dp);
    weights_ = dnnl::convolution_backward_weights(wp);
    const auto xm = filled(x), ym = filled(y);
    forward_args_ = {{DNNL_ARG_SRC, xm}, {DNNL_ARG_WEIGHTS, filled(fp.weights_desc())}, {DNNL_ARG_DST, ym}};
    data_args_ = {
        {DNNL_ARG_DIFF_DST, ym}, {DNNL_ARG_WEIGHTS, filled(dp.weights_desc())}, {DNNL_ARG_DIFF_SRC, filled(x)}};
    weights_args_ = {
        {DNNL_ARG_DIFF_DST, ym}, {DNNL_ARG_SRC, xm}, {DNNL_ARG_DIFF_WEIGHTS, filled(wp.diff_weights_desc())}};
  }
  void forward() { run(forward_, forward_args_); }
  void backward_data() { run(data_, data_args_); }
  void backward_weights() { run(weights_, weights_args_); }

 private:
  using Args = std::unordered_map<int, dnnl::memory>;
  void run(dnnl::primitive& primitive, const Args& args) {
    primitive.execute(stream_, args);
    stream_.wait();
  }
  dnnl::primitive forward_, data_, weights_;
  Args forward_args_, data_args_, weights_args_;
};

}  // namespace weft::bench
