// With filters in a layout of ours oneDNN falls back to reference code, so it chooses their layout and they are
// reordered for each call: mostly below a hundredth of the time. Depthwise gradients with dilation, which it does as
// one product per channel, are left to the caller, who is five times faster.
#include <algorithm>
#include <iterator>

#include "weft/tensor/cpu/onednn.h"
#include "weft/tensor/cpu/onednn_plan.h"
#include "weft/tensor/storage.h"

namespace weft::cpu {

namespace {

using onednn::Extents, onednn::Plan, onednn::PlanRef;

// What the three passes share. With groups a filter has one more dimension.
struct ConvLayouts {
  explicit ConvLayouts(const Conv2dArgs& p)
      : strides{p.stride_h, p.stride_w},
        dilates{p.dilation_h - 1, p.dilation_w - 1},
        low{p.top, p.left},
        high{p.bottom, p.right},
        x({p.n, p.c, p.h, p.w}, onednn::type_of(p.dtype), dnnl::memory::format_tag::nhwc),
        y({p.n, p.o, p.oh, p.ow}, onednn::type_of(p.dtype), dnnl::memory::format_tag::nhwc),
        bias({p.o}, onednn::type_of(p.dtype), dnnl::memory::format_tag::a) {
    const int64_t in = p.c / p.groups, out = p.o / p.groups, size = p.kh * p.kw * in;
    Extents extents{out, in, p.kh, p.kw}, order{size, 1, p.kw * in, in};
    if (p.groups > 1) {
      extents.insert(extents.begin(), p.groups);
      order.insert(order.begin(), out * size);
    }
    w = {extents, onednn::type_of(p.dtype), order};
    w_any = {extents, onednn::type_of(p.dtype), dnnl::memory::format_tag::any};
  }
  Extents strides, dilates, low, high;
  onednn::Layout x, y, bias, w, w_any;
};

void make_reorder(Plan& plan, const onednn::Layout& from, const onednn::Layout& to) {
  if (from == to) return;
  const dnnl::reorder::primitive_desc made(onednn::engine(), from, onednn::engine(), to, onednn::attributes());
  plan.reorder = dnnl::reorder(made);
  plan.reorder_scratch = made.scratchpad_desc().get_size();
}

bool is_depthwise(const Conv2dArgs& p) { return p.groups > 1 && p.groups == p.c && p.groups == p.o; }

// For the passes that read the filter.
template <class P, class Description>
void adopt_reader(const Conv2dArgs& p, Plan& plan, const Description& made) {
  if (!onednn::adopt<P>(plan, made, is_depthwise(p))) return;
  plan.w_inside = made.weights_desc();
  make_reorder(plan, plan.w, plan.w_inside);
}

void make_convolution(const Conv2dArgs& p, Plan& plan) {
  using Forward = dnnl::convolution_forward;
  using Data = dnnl::convolution_backward_data;
  using Filter = dnnl::convolution_backward_weights;
  constexpr auto training = dnnl::prop_kind::forward_training;
  constexpr auto direct = dnnl::algorithm::convolution_direct;
  const ConvLayouts l(p);
  plan.x = l.x, plan.y = l.y, plan.w = l.w, plan.bias = l.bias;
  if (p.pass == ConvPass::forward && p.bias)
    return adopt_reader<Forward>(
        p, plan,
        onednn::describe<Forward>(training, direct, l.x, l.w_any, l.bias, l.y, l.strides, l.dilates, l.low, l.high));
  const auto forward =
      onednn::describe<Forward>(training, direct, l.x, l.w_any, l.y, l.strides, l.dilates, l.low, l.high);
  if (p.pass == ConvPass::forward) return adopt_reader<Forward>(p, plan, forward);
  if (!forward) return;
  if (p.pass == ConvPass::data)
    return adopt_reader<Data>(
        p, plan,
        onednn::describe_backward<Data>(forward, direct, l.x, l.w_any, l.y, l.strides, l.dilates, l.low, l.high));
  const auto made =
      onednn::describe_backward<Filter>(forward, direct, l.x, l.w_any, l.y, l.strides, l.dilates, l.low, l.high);
  if (!onednn::adopt<Filter>(plan, made, is_depthwise(p))) return;
  plan.w_inside = made.diff_weights_desc();
  make_reorder(plan, plan.w_inside, plan.w);
}

void reorder(const Plan& plan, const onednn::Layout& from, const void* source, const onednn::Layout& to, void* target,
             void* scratch) {
  onednn::Call call;
  call.add(DNNL_ARG_FROM, from, source);
  call.add(DNNL_ARG_TO, to, target);
  call.scratch(plan.reorder_scratch, scratch);
  call.run(plan.reorder);
}

void run_convolution(const Conv2dArgs& p, const Plan& plan, Stream stream) {
  const size_t filter = plan.reorder ? (plan.w_inside.get_size() + 63) / 64 * 64 : 0;
  const Ref<Storage> memory = allocate_storage(filter + std::max(plan.scratch, plan.reorder_scratch), stream);
  void* const w = plan.reorder ? memory->data() : p.w_data;
  void* const scratch = static_cast<char*>(memory->data()) + filter;
  const bool makes_w = p.pass == ConvPass::filter;
  if (plan.reorder && !makes_w) reorder(plan, plan.w, p.w_data, plan.w_inside, w, scratch);
  onednn::Call call;
  call.add(p.pass == ConvPass::data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, plan.x, p.x_data);
  call.add(makes_w ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, plan.w_inside, w);
  call.add(p.pass == ConvPass::forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, plan.y, p.y_data);
  if (p.bias) call.add(DNNL_ARG_BIAS, plan.bias, p.bias);
  call.scratch(plan.scratch, scratch);
  call.run(plan.run);
  if (plan.reorder && makes_w) reorder(plan, plan.w_inside, w, plan.w, p.w_data, scratch);
}

onednn::Key key_of(const Conv2dArgs& p) {
  const auto pass = static_cast<int64_t>(p.pass), dtype = static_cast<int64_t>(p.dtype);
  const int64_t how[] = {2, pass, dtype, onednn::threads(), p.bias != nullptr, p.groups};
  const int64_t extents[] = {p.n, p.c, p.h, p.w, p.o, p.kh, p.kw};
  const int64_t window[] = {p.stride_h, p.stride_w, p.dilation_h, p.dilation_w, p.top, p.bottom, p.left, p.right};
  onednn::Key key{};
  auto end = std::copy(std::begin(how), std::end(how), key.begin());
  end = std::copy(std::begin(extents), std::end(extents), end);
  std::copy(std::begin(window), std::end(window), end);
  return key;
}

void tell_sanitizer(const Conv2dArgs& p) {
  const auto tell = [&](ConvPass made_by, void* data, int64_t elements) {
    const int64_t bytes = elements * size_of(p.dtype);
    p.pass == made_by ? onednn::will_write(data, bytes) : onednn::will_read(data, bytes);
  };
  tell(ConvPass::data, p.x_data, p.n * p.c * p.h * p.w);
  tell(ConvPass::filter, p.w_data, p.o * p.kh * p.kw * (p.c / p.groups));
  tell(ConvPass::forward, p.y_data, p.n * p.o * p.oh * p.ow);
  if (p.bias) onednn::will_read(p.bias, p.o * size_of(p.dtype));
}

}  // namespace

bool onednn_conv2d(const Conv2dArgs& p, Stream stream) {
  if (!onednn::takes(p.dtype)) return false;
  const onednn::ThreadScope scope;
  try {
    const PlanRef plan = onednn::plan_for(key_of(p), [&](Plan& made) { make_convolution(p, made); });
    if (!plan->run) return false;
    tell_sanitizer(p);
    run_convolution(p, *plan, stream);
    return true;
  } catch (const dnnl::error& error) {
    onednn::rethrow("conv2d", error);
  }
}

}  // namespace weft::cpu
