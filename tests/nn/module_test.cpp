#include <doctest/doctest.h>

#include <cmath>

#include "weft/nn/nn.h"
#include "weft/weft.h"

using namespace weft;

namespace {

struct Block : nn::Module {
  nn::Conv2d conv{3, 4, {.kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d norm{4, {.relu = true}};
  WEFT_MEMBERS(conv, norm)
  Tensor forward(const Tensor& x) const { return norm(conv(x)); }
};

struct Net : nn::Module {
  Block stem;
  nn::ModuleList<nn::Linear> heads;
  nn::Parameter scale{ones({1})};
  WEFT_MEMBERS(stem, heads, scale)
  Net() {
    heads.add(4, 2);
    heads.add(4, 3, nn::LinearOptions{.bias = false});
  }
};

std::vector<std::string> names(const std::vector<nn::Parameter>& parameters) {
  std::vector<std::string> list;
  for (const auto& p : parameters) list.push_back(p.name());
  return list;
}

}  // namespace

TEST_SUITE("nn/module") {
  TEST_CASE("one list of members gives names, counts, buffers") {
    Net net;
    CHECK(names(net.parameters()) == std::vector<std::string>{"stem.conv.weight", "stem.norm.weight", "stem.norm.bias",
                                                              "heads.0.weight", "heads.0.bias", "heads.1.weight",
                                                              "scale"});
    CHECK(net.parameter_count() == 108 + 4 + 4 + 8 + 2 + 12 + 1);
    CHECK(net.buffers().size() == 2);
    CHECK(net.buffers()[1].name() == "stem.norm.running_var");
    CHECK(net.parameter("heads.0.bias").shape() == Shape{2});
    CHECK_THROWS_AS(net.parameter("heads.2.bias"), IndexError);
  }

  TEST_CASE("a module prints as a tree") {
    Net net;
    const std::string text = to_string(net);
    CHECK(text.find("Net  [139]\n") == 0);
    CHECK(text.find("  (stem): Block  [116]\n    (conv): Conv2d(3 -> 4, kernel 3x3, no bias)  [108]") !=
          std::string::npos);
    CHECK(text.find("(1): Linear(4 -> 3, no bias)") != std::string::npos);
  }

  TEST_CASE("to() adds copies with the same values; a rank's copy is found by device") {
    Net net;
    const auto before = net.parameter("heads.0.weight").at(0).to_vector<float>();
    net.to({"cpu:1", "cpu:0", "cpu:2"});
    const nn::Parameter w = net.parameter("heads.0.weight");
    CHECK(w.places() == 3);
    for (int i = 0; i < 3; ++i) CHECK(w.at(i).to_vector<float>() == before);
    CHECK(w.on("cpu:2").device() == Device("cpu:2"));
    CHECK_THROWS_WITH_AS(w.on("cpu:3"),
                         "parameter 'heads.0.weight' is not on cpu:3; it is on cpu:1, cpu:0, cpu:2; place it with "
                         "module.to({\"cpu:3\"})",
                         DeviceError);
    w.set(zeros({2, 4}));
    CHECK(w.at(2).sum().item<float>() == 0);
    CHECK_THROWS_AS(w.set(zeros({4, 2})), ShapeError);
  }

  TEST_CASE("a device listed twice: ranks share the value and have a gradient each; buffers are apart") {
    nn::BatchNorm2d norm(2);
    norm.to({"cpu:0", "cpu:0"});
    CHECK(norm.weight.at(0).raw() == norm.weight.at(1).raw());
    CHECK_FALSE(norm.weight.at(0).same(norm.weight.at(1)));
    CHECK(norm.running_mean.at(0).raw() != norm.running_mean.at(1).raw());
  }

  TEST_CASE("to(dtype) converts all copies; running statistics stay float32 at least") {
    nn::BatchNorm2d norm(2);
    norm.to({"cpu:0", "cpu:0", "cpu:1"});
    norm.to(DType::f64);
    for (int i = 0; i < 3; ++i) CHECK(norm.weight.at(i).dtype() == DType::f64);
    CHECK(norm.weight.at(0).raw() == norm.weight.at(1).raw());
    CHECK(norm.running_var.dtype() == DType::f64);
    CHECK(norm.weight.at(1).requires_grad());
    CHECK(norm.forward(ones({2, 2, 1, 1}, {.dtype = DType::f64})).dtype() == DType::f64);
    norm.to(DType::bf16);
    CHECK(norm.weight.dtype() == DType::bf16);
    CHECK(norm.running_var.dtype() == DType::f32);
    CHECK_THROWS_WITH_AS(norm.to(DType::i64), "to: parameter 'weight' cannot become int64; it needs a floating dtype",
                         DtypeError);
  }

  TEST_CASE("training needs the module's flag and the thread's") {
    Net net;
    CHECK_FALSE(net.stem.norm.training());
    {
      const autograd::Record record;
      CHECK(net.stem.norm.training());
      net.eval();
      CHECK_FALSE(net.stem.norm.training());
      net.train();
      const autograd::PredictMode predict;
      CHECK_FALSE(net.stem.norm.training());
    }
  }

  TEST_CASE("frozen parameters take no gradient") {
    nn::Linear fc(2, 1);
    fc.weight.set_request(GradReq::null);
    Tensor y;
    {
      const autograd::Record record;
      y = fc(ones({1, 2})).sum();
    }
    y.backward();
    CHECK_FALSE(fc.weight.grad_on("cpu").defined());
    CHECK(fc.bias.grad_on("cpu").item<float>() == 1);
    fc.freeze();
    {
      const autograd::Record record;
      CHECK_FALSE(fc(ones({1, 2})).requires_grad());
    }
  }

  TEST_CASE("clone copies values; a seed gives the same start") {
    seed(3);
    Net a;
    const auto b = nn::clone(a);
    CHECK(b->parameter("stem.conv.weight").at(0).to_vector<float>() ==
          a.parameter("stem.conv.weight").at(0).to_vector<float>());
    seed(3);
    Net c;
    CHECK(c.parameter("heads.1.weight").at(0).to_vector<float>() ==
          a.parameter("heads.1.weight").at(0).to_vector<float>());
  }

  TEST_CASE("Sequential") {
    nn::Sequential net;
    net.add<nn::Linear>(4, 8).add<nn::ReLU>().add<nn::Linear>(8, 2);
    CHECK(net(ones({3, 4})).shape() == Shape{3, 2});
    CHECK(names(net.parameters())[2] == "2.weight");
    nn::Sequential functions;
    functions.add<nn::GELU>().add<nn::SiLU>().add<nn::LeakyReLU>(0.25).add<nn::Softplus>().add<nn::Softmax>(-1);
    const Tensor x = tensor({{-1.f, 2.f}});
    CHECK(functions(x).to_vector<float>() == softmax(softplus(leaky_relu(silu(gelu(x)), 0.25)), -1).to_vector<float>());
    CHECK(to_string(functions).find("(2): LeakyReLU(0.25)") != std::string::npos);
  }

  TEST_CASE("losses: sum and weight, and their mean") {
    const nn::SoftmaxCrossEntropyLoss loss;
    const Tensor logits = tensor({{100.f, -21.f}, {0.f, 0.f}, {5.f, 5.f}});
    const Tensor labels = tensor<int64_t>({1, 0, -1});
    const nn::LossParts parts = loss.parts(logits, labels);
    CHECK(parts.sum.item<float>() == doctest::Approx(121 + std::log(2.0)));
    CHECK(parts.weight.item<float>() == 2);
    CHECK(loss(logits, labels).item<float>() == doctest::Approx((121 + std::log(2.0)) / 2));
    CHECK(loss(logits, tensor<int64_t>({-1, -1, -1})).item<float>() == 0);
    CHECK(nn::MSELoss()(tensor({1.f, 3.f}), tensor({0.f, 1.f})).item<float>() == 2.5f);
    const nn::MixSoftmaxCrossEntropyLoss mix(0.5);
    CHECK(mix(logits, logits, labels).item<float>() == doctest::Approx(1.5 * (121 + std::log(2.0)) / 2));
  }

  TEST_CASE("initial values: bounds and deviations") {
    seed(1);
    const auto w = nn::init::kaiming_normal({64, 32, 3, 3}).to_vector<double>();
    double square = 0;
    for (const double v : w) square += v * v;
    CHECK(std::sqrt(square / static_cast<double>(w.size())) ==
          doctest::Approx(std::sqrt(2.0 / (32 * 9))).epsilon(0.02));
    double largest = 0;
    for (const double v : nn::init::xavier_uniform({8, 4}).to_vector<double>())
      largest = std::max(largest, std::fabs(v));
    CHECK(largest <= std::sqrt(6.0 / 12));
    CHECK(largest > 0.8 * std::sqrt(6.0 / 12));
    CHECK_THROWS_AS(nn::init::xavier_normal({4}), ShapeError);
    for (const Shape& shape : {Shape{5, 3, 2}, Shape{8, 3}, Shape{4, 4}}) {
      const auto v = nn::init::orthogonal(shape, 2).to_vector<double>();
      const int64_t rows = shape[0], columns = numel_of(shape) / rows, n = std::min(rows, columns);
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) {
          double dot = 0;
          for (int64_t k = 0; k < std::max(rows, columns); ++k)
            dot += rows <= columns ? v[i * columns + k] * v[j * columns + k] : v[k * columns + i] * v[k * columns + j];
          CHECK(dot == doctest::Approx(i == j ? 4 : 0).epsilon(1e-5));
        }
    }
    seed(4);
    double sum = 0;  // no sign is preferred
    for (int i = 0; i < 200; ++i) sum += nn::init::orthogonal({3, 3}).to_vector<double>()[0] > 0 ? 1 : -1;
    CHECK(std::fabs(sum) < 60);
    CHECK_THROWS_AS(nn::init::orthogonal({4}), ShapeError);
  }
}
