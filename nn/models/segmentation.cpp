#include "weft/nn/models/segmentation.h"

#include "weft/autograd/ops/avg_pool2d.h"
#include "weft/autograd/ops/concat.h"
#include "weft/autograd/ops/dropout.h"
#include "weft/autograd/ops/resize.h"

namespace weft::models {

namespace {

constexpr double dropout_rate = 0.1, project_dropout = 0.5;

Tensor resize_like(const Tensor& y, const Tensor& x) { return resize(y, Pair(x.size(2), x.size(3))); }

// Convolution without bias, batch norm and ReLU as "0" and "1".
std::unique_ptr<nn::Sequential> conv_norm(int64_t in, int64_t out, int64_t kernel, int64_t dilation, bool sync) {
  auto layers = std::make_unique<nn::Sequential>();
  layers->add<nn::Conv2d>(
      in, out,
      nn::Conv2dOptions{.kernel = kernel, .padding = kernel / 2 * dilation, .dilation = dilation, .bias = false});
  layers->add<nn::BatchNorm2d>(out, nn::BatchNormOptions{.relu = true, .sync = sync});
  return layers;
}

class GlobalMean : public nn::Layer {
 public:
  Tensor forward(const Tensor& x) const override { return global_avg_pool2d(x); }
  std::string describe() const override { return "GlobalMean"; }
};

std::unique_ptr<nn::Layer> make_head(SegmentationHead head, int64_t in, int64_t classes, bool sync) {
  switch (head) {
    case SegmentationHead::psp:
      return std::make_unique<PSPHead>(in, classes, sync);
    case SegmentationHead::deeplab:
      return std::make_unique<DeepLabHead>(in, classes, sync);
    default:
      return std::make_unique<FCNHead>(in, classes, sync);
  }
}

}  // namespace

SegmentationHead segmentation_head(const std::string& name) {
  if (name == "fcn") return SegmentationHead::fcn;
  if (name == "psp") return SegmentationHead::psp;
  WEFT_CHECK(Error, name == "deeplab", "segmentation_head: no head '", name, "'; there are fcn, psp and deeplab");
  return SegmentationHead::deeplab;
}

SegmentationNet::SegmentationNet(const SegmentationNetOptions& options) : backbone(options.backbone) {
  const bool sync = options.backbone.sync;
  classifier = make_head(options.head, backbone.channels(4), options.classes, sync);
  if (options.aux) aux_classifier = std::make_unique<FCNHead>(backbone.channels(3), options.classes, sync);
}

std::tuple<Tensor, Tensor> SegmentationNet::forward(const Tensor& x) const {
  const Features features = backbone.forward(x);
  const Tensor main = resize_like(classifier->forward(features.c4), x);
  return {main, aux_classifier ? resize_like(aux_classifier->forward(features.c3), x) : Tensor()};
}

Tensor SegmentationNet::predict(const Tensor& x) const {
  return resize_like(classifier->forward(backbone.forward(x).c4), x);
}

FCNHead::FCNHead(int64_t in, int64_t classes, bool sync)
    : conv_(in, in / 4, {.kernel = 3, .padding = 1, .bias = false}),
      norm_(in / 4, {.relu = true, .sync = sync}),
      score_(in / 4, classes, {.kernel = 1}) {}

Tensor FCNHead::forward(const Tensor& x) const {
  const Tensor y = norm_(conv_(x));
  return score_(training() ? dropout(y, dropout_rate) : y);
}

void FCNHead::list_members(nn::MemberList& list) { list.add_all("0, 1, 4", conv_, norm_, score_); }

PSPHead::PSPHead(int64_t in, int64_t classes, bool sync)
    : conv_(2 * in, in / 4, {.kernel = 3, .padding = 1, .bias = false}),
      norm_(in / 4, {.relu = true, .sync = sync}),
      score_(in / 4, classes, {.kernel = 1}) {
  for (int level = 0; level < 4; ++level) pyramid_.push_back(conv_norm(in, in / 4, 1, 1, sync));
}

Tensor PSPHead::forward(const Tensor& x) const {
  constexpr int64_t parts[] = {1, 2, 3, 6};
  Tensors joined{x};  // [N, in, h, w], then four times [N, in / 4, h, w]
  for (size_t level = 0; level < 4; ++level)
    joined.push_back(resize_like((*pyramid_[level])(adaptive_avg_pool2d(x, parts[level])), x));
  const Tensor y = norm_(conv_(concat(joined, 1)));
  return score_(training() ? dropout(y, dropout_rate) : y);
}

void PSPHead::list_members(nn::MemberList& list) { list.add_all("pyramid, 0, 1, 4", pyramid_, conv_, norm_, score_); }

DeepLabHead::DeepLabHead(int64_t in, int64_t classes, bool sync)
    : conv_(256, 256, {.kernel = 3, .padding = 1, .bias = false}),
      norm_(256, {.relu = true, .sync = sync}),
      score_(256, classes, {.kernel = 1}) {
  branches_.push_back(conv_norm(in, 256, 1, 1, sync));
  for (const int64_t dilation : {12, 24, 36}) branches_.push_back(conv_norm(in, 256, 3, dilation, sync));
  auto pooled = std::make_unique<nn::Sequential>();
  pooled->add<GlobalMean>();
  pooled->add<nn::Conv2d>(in, 256, nn::Conv2dOptions{.kernel = 1, .bias = false});
  pooled->add<nn::BatchNorm2d>(256, nn::BatchNormOptions{.relu = true, .sync = sync});
  branches_.push_back(std::move(pooled));
  project_.add<nn::Conv2d>(5 * 256, 256, nn::Conv2dOptions{.kernel = 1, .bias = false});
  project_.add<nn::BatchNorm2d>(256, nn::BatchNormOptions{.relu = true, .sync = sync});
}

Tensor DeepLabHead::forward(const Tensor& x) const {
  Tensors joined;  // five times [N, 256, h, w]
  for (const auto& branch : branches_) joined.push_back((*branch)(x));
  joined.back() = resize_like(joined.back(), x);
  Tensor y = project_(concat(joined, 1));
  if (training()) y = dropout(y, project_dropout);
  return score_(norm_(conv_(y)));
}

void DeepLabHead::list_members(nn::MemberList& list) {
  list.add_all("0.convs, 0.project, 1, 2, 4", branches_, project_, conv_, norm_, score_);
}

}  // namespace weft::models
