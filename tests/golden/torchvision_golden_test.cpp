// torchvision's nets against PyTorch: cases/torchvision.py. State goes through a file with torchvision's names.
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>

#include "tests/golden/formula.h"
#include "tests/support/npz.h"
#include "tests/support/paths.h"
#include "tests/support/temp_folder.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/nn/loss.h"
#include "weft/nn/models/segmentation.h"
#include "weft/nn/serialize.h"
#include "weft/tensor/operators.h"

using namespace weft;

namespace {

constexpr int64_t classes = 21, ignore = 255;
using Golden = std::map<std::string, test::NpyArray>;

// "64x3x7x7", or "scalar"
Shape shape_of(const std::string& text) {
  std::vector<int64_t> extents;
  if (text == "scalar") return Shape{};
  for (size_t at = 0; at < text.size(); at = std::min(text.find('x', at), text.size() - 1) + 1)
    extents.push_back(std::stoll(text.substr(at)));
  return Shape(std::span<const int64_t>(extents));
}

// The state dict that torchvision_keys/NAME.txt lists, with values by formula.
nn::NamedTensors state_dict(const std::string& net) {
  std::ifstream in(test::source_path("tests/golden/torchvision_keys/" + net + ".txt"));
  nn::NamedTensors state;
  std::string name, dtype, shape;
  while (in >> name >> dtype >> shape) {
    const bool counter = dtype == "int64";
    REQUIRE((counter || dtype == "float32"));
    state.emplace_back(
        name, counter ? full(shape_of(shape), 7, {.dtype = DType::i64}) : test::formula_state(name, shape_of(shape)));
  }
  return state;
}

// A net whose weights were loaded, strictly, from a safetensors file.
std::unique_ptr<models::SegmentationNet> loaded(const std::string& name, models::SegmentationHead head) {
  const test::TempFolder folder;
  const nn::NamedTensors state = state_dict(name);
  REQUIRE(state.size() > 300);
  nn::write_safetensors(folder / "net.safetensors", state);
  auto net =
      std::make_unique<models::SegmentationNet>(models::SegmentationNetOptions{.head = head, .classes = classes});
  CHECK(nn::load(*net, folder / "net.safetensors").complete());
  return net;
}

// The second sample has twice the first one's contrast.
Tensor picture(int64_t height, int64_t width) {
  return test::formula_values("picture", {2, 3, height, width}) * tensor({1.0f, 2.0f}).reshape({2, 1, 1, 1});
}

Tensor labels(int64_t height, int64_t width) {
  std::vector<int64_t> values;
  for (const uint32_t bits : test::formula_bits("labels", 2 * height * width))
    values.push_back((bits >> 16 & 7) != 0 ? bits % classes : ignore);
  return tensor(values, {2, height, width});
}

// Evenly spread elements, in row-major order, as the script's some().
test::Array some(const Tensor& x) {
  const test::Array all = test::to_array(x);
  const int64_t count = std::min<int64_t>(24, all.numel());
  test::Array few(Shape{count});
  for (int64_t i = 0; i < count; ++i) few[i] = all[i * all.numel() / count];
  return few;
}

// The whole tensor's norm within `relative` of itself.
void check_norm(const Golden& file, const std::string& name, const Tensor& found, double relative) {
  INFO(name);
  const Tensor wide = found.to(DType::f64);
  const double norm = file.at(name + "/norm").values[0];
  CHECK(std::sqrt(sum(wide * wide).item<double>()) == doctest::Approx(norm).epsilon(relative));
}

// Every element within `relative` of the largest one.
void check_elements(const Golden& file, const std::string& name, const test::Array& found, double relative) {
  INFO(name);
  const double largest = file.at(name + "/largest").values[0];
  CHECK(test::difference(found, file.at(name + "/some").values, {.absolute = relative * largest}) == "");
}

void check_evaluation(const Golden& file, const std::string& name, const models::SegmentationNet& net,
                      const Tensor& x) {
  const autograd::Pause pause;
  const auto [main, aux] = net.forward(x);
  for (const auto& [head, logits] : {std::pair{"/out", main}, std::pair{"/aux", aux}}) {
    REQUIRE(logits.shape() == Shape{2, classes, x.size(2), x.size(3)});
    const Tensor grid = logits.slice(2, 0, x.size(2), 8).slice(3, 0, x.size(3), 8);
    check_elements(file, name + head, test::to_array(grid), 1e-4);
    check_norm(file, name + head, logits, 1e-4);
  }
}

// Heads in evaluation and all that is in them in training: batch norm as in training, but no dropout.
void train_without_dropout(models::SegmentationNet& net) {
  for (nn::Layer* head : {net.classifier.get(), net.aux_classifier.get()}) {
    head->eval();
    for (const auto& [name, child] : head->children()) child->train();
  }
}

// Elements in float64 alone: where float32 rounds an input of ReLU to the other side of zero, a few elements of
// gradients jump by far more than rounding, and which ones depends on the processor.
void check_training(const Golden& file, const std::string& name, models::SegmentationNet& net, const Tensor& x) {
  const bool wide = x.dtype() == DType::f64;
  train_without_dropout(net);
  Tensor loss;
  {
    const autograd::Record record;
    const auto [main, aux] = net.forward(x);
    loss = nn::MixSoftmaxCrossEntropyLoss(0.4, {.ignore_label = ignore})(main, aux, labels(x.size(2), x.size(3)));
  }
  loss.backward();
  CHECK(std::abs(loss.item<double>() / file.at(name + "/loss").values[0] - 1) <= (wide ? 1e-7 : 1e-4));
  const std::string gradients = name + "/gradient/", statistics = name + "/statistic/";
  int compared = 0;
  for (const auto& [key, array] : file) {
    if (key.starts_with(gradients) && key.ends_with("/some")) {
      const std::string path = key.substr(0, key.size() - 5);
      const Tensor g = net.parameter(path.substr(gradients.size())).grad_at(0);
      if (wide) check_elements(file, path, some(g), 1e-6);
      check_norm(file, path, g, wide ? 1e-6 : 1e-3);
      ++compared;
    }
  }
  for (const nn::Buffer& buffer : net.buffers())
    if (const auto found = file.find(statistics + buffer.name()); found != file.end()) {
      INFO(buffer.name());
      CHECK(test::gradient_difference(some(buffer.at(0)), found->second.values, wide ? 1e-6 : 1e-4) == "");
      ++compared;
    }
  CHECK(compared == (name == "fcn_resnet50" ? 13 : 19) + 8);
}

void check_net(const std::string& name, models::SegmentationHead head) {
  const Golden file = test::read_npz(test::source_path("tests/golden/torchvision.npz"));
  const test::Array& size = file.at(name + "/size").values;
  const Tensor x = picture(static_cast<int64_t>(size[0]), static_cast<int64_t>(size[1]));
  const auto net = loaded(name, head), wide = loaded(name, head);
  check_evaluation(file, name, *net, x);
  check_training(file, name, *net, x);
  wide->to(DType::f64);
  check_training(file, name, *wide, x.to(DType::f64));
}

}  // namespace

TEST_CASE("golden: torchvision's fcn_resnet50") { check_net("fcn_resnet50", models::SegmentationHead::fcn); }

TEST_CASE("golden: torchvision's deeplabv3_resnet50") {
  check_net("deeplabv3_resnet50", models::SegmentationHead::deeplab);
}
