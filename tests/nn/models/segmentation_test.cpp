// Segmentation nets: parameter counts, torchvision's names and shapes, sizes of what comes out.
#include "weft/nn/models/segmentation.h"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "tests/support/paths.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::models;

namespace {

SegmentationNetOptions options_of(SegmentationHead head, ResNetVariant variant, bool aux = true, int depth = 50) {
  return {.head = head, .aux = aux, .backbone = {.depth = depth, .variant = variant}};
}

// "float32 64x3x7x7" by name, as tests/golden/torchvision_keys/NAME.txt lists them; without the counters that weft
// does not keep.
std::map<std::string, std::string> listed(const std::string& name) {
  std::ifstream in(test::source_path("tests/golden/torchvision_keys/" + name + ".txt"));
  std::map<std::string, std::string> keys;
  std::string key, dtype, shape;
  while (in >> key >> dtype >> shape)
    if (key.find("num_batches_tracked") == std::string::npos) keys[key] = dtype + " " + shape;
  return keys;
}

std::map<std::string, std::string> keys_of(const nn::Module& net) {
  std::map<std::string, std::string> keys;
  const auto add = [&](const nn::Placed& value) {
    std::string shape;
    for (const int64_t extent : value.shape()) shape += (shape.empty() ? "" : "x") + std::to_string(extent);
    keys[value.name()] = weft::detail::concat(value.dtype(), " ", shape);
  };
  for (const nn::Parameter& p : net.parameters()) add(p);
  for (const nn::Buffer& b : net.buffers()) add(b);
  return keys;
}

}  // namespace

TEST_CASE("segmentation nets: torchvision's parameters, by name, dtype, shape and number") {
  const SegmentationNet fcn(options_of(SegmentationHead::fcn, ResNetVariant::v1b));
  CHECK(fcn.parameter_count() == 35322218);
  CHECK(listed("fcn_resnet50").size() == 279);
  CHECK(keys_of(fcn) == listed("fcn_resnet50"));
  const SegmentationNet deeplab(options_of(SegmentationHead::deeplab, ResNetVariant::v1b));
  CHECK(deeplab.parameter_count() == 42004074);
  CHECK(keys_of(deeplab) == listed("deeplabv3_resnet50"));
}

TEST_CASE("segmentation nets: parameter counts with the wide stem") {
  CHECK(ResNet({.variant = ResNetVariant::v1s}).parameter_count() == 23631808);
  const auto count = [](SegmentationHead head, bool aux) {
    return SegmentationNet(options_of(head, ResNetVariant::v1s, aux)).parameter_count();
  };
  CHECK(count(SegmentationHead::fcn, true) == 35445994);
  CHECK(count(SegmentationHead::fcn, false) == 33080789);
  CHECK(count(SegmentationHead::psp, true) == 49081578);
  CHECK(count(SegmentationHead::deeplab, true) == 42127850);
}

TEST_CASE("resnet: parameter counts of all depths, as torchvision's without their classifier") {
  const std::pair<int, int64_t> counts[] = {
      {18, 11176512}, {34, 21284672}, {50, 23508032}, {101, 42500160}, {152, 58143808}};
  for (const auto& [depth, count] : counts) CHECK(ResNet({.depth = depth}).parameter_count() == count);
  CHECK_THROWS_WITH_AS(ResNet({.depth = 42}), doctest::Contains("depth 42"), Error);
  CHECK_THROWS_WITH_AS(segmentation_head("unet"), doctest::Contains("'unet'"), Error);
}

TEST_CASE("resnet: an eighth of the resolution when dilated, else a sixteenth and a thirty-second") {
  const Tensor x = zeros({1, 3, 65, 40});
  const autograd::Pause pause;
  for (const ResNetVariant variant : {ResNetVariant::v1b, ResNetVariant::v1c, ResNetVariant::v1s, ResNetVariant::v1d}) {
    const Features dilated = ResNet({.depth = 18, .variant = variant}).forward(x);
    CHECK(dilated.c3.shape() == Shape{1, 256, 9, 5});
    CHECK(dilated.c4.shape() == Shape{1, 512, 9, 5});
    const Features plain = ResNet({.depth = 18, .variant = variant, .dilated = false}).forward(x);
    CHECK(plain.c3.shape() == Shape{1, 256, 5, 3});
    CHECK(plain.c4.shape() == Shape{1, 512, 3, 2});
  }
  const ResNet deep({.depth = 50});
  const Features bottleneck = deep.forward(x);
  CHECK(bottleneck.c1.shape() == Shape{1, 256, 17, 10});
  CHECK(bottleneck.c2.shape() == Shape{1, 512, 9, 5});
  const Tensor* all[] = {&bottleneck.c1, &bottleneck.c2, &bottleneck.c3, &bottleneck.c4};
  for (int stage = 1; stage <= 4; ++stage) CHECK(all[stage - 1]->size(1) == deep.channels(stage));
  CHECK(bottleneck.c3.shape() == Shape{1, 1024, 9, 5});
  CHECK(bottleneck.c4.shape() == Shape{1, 2048, 9, 5});
}

TEST_CASE("segmentation nets: logits of the input's size from both heads, and a gradient for every parameter") {
  for (const SegmentationHead head : {SegmentationHead::fcn, SegmentationHead::psp, SegmentationHead::deeplab}) {
    SegmentationNetOptions options = options_of(head, ResNetVariant::v1c, true, 18);
    options.classes = 3;
    const SegmentationNet net(options);
    const Tensor x = uniform({2, 3, 41, 56});
    CHECK(net.predict(x).shape() == Shape{2, 3, 41, 56});
    {
      const autograd::Record record;
      const auto [main, aux] = net.forward(x);
      CHECK(main.shape() == Shape{2, 3, 41, 56});
      CHECK(aux.shape() == main.shape());
      (sum(main * main) + sum(aux * aux)).backward();
    }
    for (const nn::Parameter& p : net.parameters()) {
      INFO(p.name());
      CHECK(p.grad_at(0).defined());
    }
  }
}

TEST_CASE("segmentation nets: residual branches may start as zero") {
  const ResNet net({.depth = 18, .zero_last_gamma = true});
  CHECK(net.parameter("layer2.0.bn2.weight").at(0).to_vector<float>() == std::vector<float>(128));
  CHECK(net.parameter("layer2.0.bn1.weight").at(0).to_vector<float>() == std::vector<float>(128, 1.0f));
}
