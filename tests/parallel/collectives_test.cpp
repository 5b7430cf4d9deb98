// Differentiable collectives: values, first and second gradients, uneven parts, one node each, errors; the same inside
// ranks. In the ranks' own backward passes: joint_nodes_test.cpp.
#include "weft/parallel/collectives.h"

#include <doctest/doctest.h>

#include "tests/parallel/ranks.h"
#include "tests/support/text_of.h"
#include "weft/autograd/gradcheck.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/parallel/apply.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/parallel.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

using Floats = std::vector<float>;

PerDevice<Tensor> spread(const Tensors& x, const std::vector<Device>& devices) {
  Tensors placed;
  for (size_t i = 0; i < devices.size(); ++i) placed.push_back(x[i].to(devices[i]));
  return {devices, placed};
}

// One number out of values that lie anywhere, each element with a weight and a square of its own.
Tensor blend(const PerDevice<Tensor>& y) {
  Tensor sum;
  for (int i = 0; i < y.size(); ++i) {
    const Tensor here = y[i].to("cpu:0");
    const Tensor part = weft::sum(here * here * (0.5 + i)) + weft::sum(here * (1.0 + 0.25 * i));
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

Tensor f64(const Shape& shape) { return randn(shape, {.dtype = DType::f64}); }

void check_gradients(const autograd::GradcheckFunction& f, const Tensors& inputs) {
  const auto first = autograd::gradcheck(f, inputs);
  CHECK_MESSAGE(first.ok, first.text);
  const auto second = autograd::gradgradcheck(f, inputs);
  CHECK_MESSAGE(second.ok, second.text);
}

}  // namespace

TEST_SUITE("parallel/collectives") {
  TEST_CASE("values, on the devices where they belong, uneven parts") {
    for (const DeviceType type : kinds()) {
      const auto devices = devices_of(type, 3);
      const Tensor x = arange(0, 10).reshape({5, 2});
      const auto parts = scatter(x, devices);
      for (int i = 0; i < 3; ++i) CHECK(parts[i].device() == devices[static_cast<size_t>(i)]);
      CHECK(parts[0].to_vector<float>() == Floats{0, 1, 2, 3});
      CHECK(parts[2].to_vector<float>() == Floats{8, 9});
      CHECK(scatter(x, devices, {0, 1, 4})[2].size(0) == 4);
      CHECK(gather(parts, devices[1]).device() == devices[1]);
      CHECK(gather(parts, "cpu:0").to_vector<float>() == x.to_vector<float>());
      const auto copies = broadcast(x, devices);
      CHECK(copies[2].device() == devices[2]);
      CHECK(reduce(copies, devices[2]).to_vector<float>() == (x * 3.0).to_vector<float>());
      for (const Order order : {Order::fastest, Order::tree})
        for (const Tensor& y : all_reduce(copies, order)) CHECK(y.to_vector<float>() == (x * 3.0).to_vector<float>());
      const auto joined = all_gather(parts);
      for (int i = 0; i < 3; ++i) {
        CHECK(joined[i].device() == devices[static_cast<size_t>(i)]);
        CHECK(joined[i].to_vector<float>() == x.to_vector<float>());
      }
      const auto cut = reduce_scatter(copies, {1, 1, 3});
      CHECK(cut[2].to_vector<float>() == (x.slice(0, 2, 5) * 3.0).to_vector<float>());
      CHECK(cut[2].device() == devices[2]);
    }
  }

  TEST_CASE("the order of a tree is pairs of neighbours, then pairs of pairs, wherever the ranks are") {
    const std::vector<float> x{1e8f, -1e8f, 1, 1};  // in a chain 1 + 1 would come to the same, 1e8 + 1 would not
    const std::vector<float> y{1, 1e8f, -1e8f, 1};  // (1 + 1e8) + (-1e8 + 1) = 0, in a chain 1
    for (const DeviceType type : kinds())
      for (const int n : {1, 2, 4}) {
        Tensors xs, ys;
        for (size_t i = 0; i < 4; ++i) {
          const Device device = device_of(type, static_cast<int>(i) * n / 4);
          xs.push_back(full({1}, x[i], {.device = device})), ys.push_back(full({1}, y[i], {.device = device}));
        }
        for (const Tensor& sum : ops::all_reduce(xs, Order::tree)) CHECK(sum.item<float>() == 2);
        for (const Tensor& sum : ops::all_reduce(ys, Order::tree)) CHECK(sum.item<float>() == 0);
        CHECK(ops::reduce(ys, ys[3].device(), Order::tree).item<float>() == 0);
        const Tensors sums = ops::all_reduce(xs, Order::tree);
        for (size_t i = 0; i < 4; ++i)
          for (size_t k = 0; k < i; ++k) CHECK(sums[i].raw() != sums[k].raw());  // each rank's own
      }
  }

  TEST_CASE("one device, one tensor: results are new tensors") {
    const Tensor x = ones({2}, {.device = device_here(0)});
    const PerDevice<Tensor> one(devices_here(1), {x});
    CHECK(scatter(x, devices_here(1))[0].raw() != x.raw());
    CHECK(gather(one, device_here(0)).raw() != x.raw());
    CHECK(broadcast(x, devices_here(1))[0].raw() != x.raw());
    CHECK(reduce(one, device_here(0)).raw() != x.raw());
    CHECK(all_reduce(one)[0].raw() != x.raw());
    CHECK(all_gather(one)[0].raw() != x.raw());
    CHECK(reduce_scatter(one, {2})[0].raw() != x.raw());
  }

  TEST_CASE("first and second gradients of each") {
    for (const DeviceType type : kinds()) {
      const auto devices = devices_of(type, 3);
      const std::vector<int64_t> uneven{2, 0, 1};
      const Tensors three{f64({2, 2}), f64({2, 2}), f64({2, 2})};
      const Tensors ragged{f64({2, 2}), f64({0, 2}), f64({1, 2})};
      check_gradients([&](const Tensors& x) { return blend(scatter(x[0], devices, uneven)); }, {f64({3, 2})});
      check_gradients([&](const Tensors& x) { return square(gather(spread(x, devices), devices[1])).to("cpu:0"); },
                      ragged);
      check_gradients([&](const Tensors& x) { return blend(broadcast(x[0], devices)); }, {f64({2})});
      check_gradients([&](const Tensors& x) { return square(reduce(spread(x, devices), devices[2])).to("cpu:0"); },
                      three);
      for (const Order order : {Order::fastest, Order::tree})
        check_gradients([&](const Tensors& x) { return blend(all_reduce(spread(x, devices), order)); }, three);
      check_gradients([&](const Tensors& x) { return blend(all_gather(spread(x, devices))); }, ragged);
      check_gradients([&](const Tensors& x) { return blend(all_gather(spread(x, devices), 1)); },
                      {f64({2, 1}), f64({2, 2}), f64({2, 3})});
      check_gradients([&](const Tensors& x) { return blend(reduce_scatter(spread(x, devices), {1, 0, 1})); }, three);
    }
  }

  TEST_CASE("each is one node, also when only some outputs are used") {
    const DeviceGuard here(device_here(0));
    Tensor a = ones({2}).attach_grad(), b = ones({2}, {.device = device_here(1)}).attach_grad();
    Tensor loss;
    {
      const autograd::Record record;
      const auto y = all_reduce(PerDevice<Tensor>(devices_here(2), {a, b}));
      const auto node = autograd::as_node(y[0].impl().slot);
      CHECK(node.raw() == autograd::as_node(y[1].impl().slot).raw());
      CHECK(node->outputs() == 2);
      CHECK(std::string(node->name()) == "all_reduce");
      CHECK(node->edges()[0].node->is_leaf());
      CHECK(node->edges()[1].node->is_leaf());
      loss = (y[1] * 3.0).sum();
    }
    loss.backward();
    CHECK(a.grad().to_vector<float>() == Floats{3, 3});
    CHECK(b.grad().to_vector<float>() == Floats{3, 3});
  }

  TEST_CASE("nothing is recorded without need") {
    const Tensor x = ones({2});
    CHECK_FALSE(broadcast(x, devices_here(2))[0].requires_grad());
    const autograd::Record record;
    CHECK_FALSE(broadcast(x, devices_here(2))[0].requires_grad());
    CHECK(reduce(broadcast(arange(0, 3, 1, {.dtype = DType::i64}), devices_here(2)), device_here(0)).dtype() ==
          DType::i64);
  }

  TEST_CASE("errors name ranks and extents") {
    const DeviceGuard here(device_here(0));
    const PerDevice<Tensor> shapes(devices_here(2), {ones({2}), ones({3}, {.device = device_here(1)})});
    CHECK(text_of([&] { all_reduce(shapes); }) == "all_reduce: rank 0 has shape [2], rank 1 [3]");
    CHECK(text_of([&] { reduce(shapes, device_here(0)); }) == "reduce: rank 0 has shape [2], rank 1 [3]");
    const PerDevice<Tensor> dtypes(devices_here(2),
                                   {ones({2}), ones({2}, {.dtype = DType::f64, .device = device_here(1)})});
    CHECK(text_of([&] { all_gather(dtypes); }) == "all_gather: rank 0 has float32, rank 1 float64");
    CHECK(text_of([] {
            scatter(ones({4}), devices_here(2), {1, 2});
          }) == "scatter: extents add up to 3, axis 0 of shape [4] does not");
    CHECK(text_of([] { scatter(ones({4}), devices_here(2), {4}); }) == "scatter: 1 extents for 2 devices");
    CHECK(text_of([] { scatter(ones({4}), devices_here(2), {5, -1}); }) == "scatter: a part of extent -1");
    CHECK_THROWS_AS(scatter(ones({4}), std::vector<Device>()), DeviceError);
    CHECK_THROWS_AS(scatter(ones({4}), devices_here(2), {}, 1), IndexError);
    CHECK_THROWS_AS(broadcast(ones({4}), std::vector<Device>()), CommError);
    CHECK_THROWS_AS(gather(PerDevice<Tensor>(), "cpu:0"), CommError);
  }
}

TEST_SUITE("parallel/collectives in ranks") {
  TEST_CASE("values") {
    for (const DeviceType type : kinds()) {
      const auto devices = devices_of(type, 3);
      const Tensors x{full({2}, 1), full({2}, 2, {.device = devices[1]}), full({2}, 3, {.device = devices[2]})};
      const Tensors mine = {x[0].to(devices[0]), x[1], x[2]};
      for (const Tensor& y : on_ranks(devices, mine, [](int, const Tensor& v) { return all_reduce(v); }))
        CHECK(y.to_vector<float>() == Floats{6, 6});
      for (const Tensor& y : on_ranks(devices, mine, [](int, const Tensor& v) { return all_gather(v); }))
        CHECK(y.to_vector<float>() == Floats{1, 1, 2, 2, 3, 3});
      const auto sent =
          on_ranks(devices, mine, [](int rank, const Tensor& v) { return broadcast(rank == 1 ? v : Tensor(), 1); });
      for (int i = 0; i < 3; ++i) {
        CHECK(sent[i].device() == devices[static_cast<size_t>(i)]);
        CHECK(sent[i].to_vector<float>() == Floats{2, 2});
      }
      const auto cut =
          on_ranks(devices, mine, [](int rank, const Tensor& v) { return scatter(rank == 2 ? v : Tensor(), 2); });
      CHECK(cut[0].to_vector<float>() == Floats{3});
      CHECK(cut[2].numel() == 0);
      const auto sum = on_ranks(devices, mine, [](int, const Tensor& v) { return reduce(v, 1); });
      CHECK_FALSE(sum[0].defined());
      CHECK(sum[1].to_vector<float>() == Floats{6, 6});
      CHECK(sum[1].device() == devices[1]);
      const auto joined = on_ranks(devices, mine, [](int, const Tensor& v) { return gather(v, 0); });
      CHECK(joined[0].to_vector<float>() == Floats{1, 1, 2, 2, 3, 3});
      CHECK_FALSE(joined[2].defined());
      const auto parts = on_ranks(devices, mine, [](int, const Tensor& v) { return reduce_scatter(v, {1, 0, 1}); });
      CHECK(parts[2].to_vector<float>() == Floats{6});
    }
  }

  TEST_CASE("outside a parallel section there is one rank") {
    const Tensor x = arange(0, 3);
    for (const Tensor& y : {all_reduce(x), all_gather(x), broadcast(x, 0), scatter(x, 0), reduce(x, 0), gather(x, 0),
                            reduce_scatter(x, {3})})
      CHECK(y.to_vector<float>() == Floats{0, 1, 2});
    CHECK_THROWS_AS(broadcast(x, 1), CommError);
  }

  TEST_CASE("ranks that disagree learn how") {
    const DeviceGuard here(device_here(0));
    const Tensors x{ones({2}), ones({2}, {.device = device_here(1)})};
    const std::string text = text_of([&] {
      on_ranks(devices_here(2), x, [](int rank, const Tensor& v) { return rank ? all_reduce(v) : all_gather(v); });
    });
    CHECK(text.find("collective #0: ranks disagree: rank 0 all_gather float32 of rank 1 along axis 0, rank 1 "
                    "all_reduce float32[2]; every rank must call the same collectives in the same order") !=
          std::string::npos);
    const std::string left = text_of(
        [&] { on_ranks(devices_here(2), x, [](int rank, const Tensor& v) { return rank ? v : all_reduce(v); }); });
    CHECK(left.find(said_here("all_reduce float32[2] #0: rank 1 on cpu:1 returned without arriving")) !=
          std::string::npos);
    const std::string recorded = text_of([&] {
      on_ranks(devices_here(2), x, [](int rank, const Tensor& v) {
        if (rank == 0) return all_reduce(v);
        const autograd::Record record;
        return all_reduce(v);
      });
    });
    CHECK(recorded.find("rank 0 all_reduce float32[2], rank 1 all_reduce float32[2], recorded") != std::string::npos);
    const std::string root =
        text_of([&] { on_ranks(devices_here(2), x, [](int rank, const Tensor& v) { return broadcast(v, rank); }); });
    CHECK(root.find("rank 0 broadcast from rank 0, rank 1 broadcast from rank 1") != std::string::npos);
  }

  TEST_CASE("ranks that disagree about the parts learn how, whoever is the last to arrive") {
    const Tensors x{arange(0, 4).to(device_here(0)), arange(0, 4).to(device_here(1))};
    const auto text_on = [&x](const std::function<Tensor(int, const Tensor&)>& f) {
      return text_of([&] { on_ranks(devices_here(2), x, f); });
    };
    const std::string scattered = text_on([](int rank, const Tensor& v) {
      return rank ? scatter(Tensor(), 0) : scatter(v, 0, {1, 3});
    });
    CHECK(scattered.find("rank 0 scatter from rank 0 along axis 0 in parts of 1, 3, rank 1 scatter from rank 0 along "
                         "axis 0; every rank") != std::string::npos);
    const std::string sums = text_on([](int rank, const Tensor& v) {
      return rank ? reduce_scatter(v, {3, 1}) : reduce_scatter(v, {1, 3});
    });
    CHECK(sums.find("rank 0 reduce_scatter float32[4] along axis 0 in parts of 1, 3, rank 1 reduce_scatter float32[4] "
                    "along axis 0 in parts of 3, 1") != std::string::npos);
    const std::string axes = text_on([](int rank, const Tensor& v) {
      return reduce_scatter(v.reshape({2, 2}), {1, 1}, rank);
    });
    CHECK(axes.find("ranks disagree") != std::string::npos);
  }

  TEST_CASE("ranks of a call made in a worker cannot meet: an error at once") {
    const Tensors x{ones({2}), ones({2}, {.device = device_here(1)})};
    const auto outer = Workers::acquire({device_here(2)});
    std::string text;
    outer->run_all([&](int) {
      text = text_of([&] { on_ranks(devices_here(2), x, [](int, const Tensor& v) { return all_reduce(v); }); });
    });
    CHECK(text.find("in a worker the ranks of a call run one after the other; make the call outside") !=
          std::string::npos);
  }

  TEST_CASE("gradients in one pass over all ranks: first and second") {
    const auto devices = devices_here(3);
    using OnRank = std::function<Tensor(int, const Tensor&)>;
    const OnRank all[] = {[](int, const Tensor& v) { return all_reduce(v * v); },
                          [](int, const Tensor& v) { return all_gather(v * v); },
                          [](int, const Tensor& v) {
                            return reduce_scatter(v * v, {1, 0, 1});
                          },
                          [](int rank, const Tensor& v) { return broadcast(rank == 1 ? v * v : Tensor(), 1) * v; },
                          [](int rank, const Tensor& v) {
                            return scatter(rank == 2 ? v * v : Tensor(), 2, {0, 1, 1});
                          },
                          [](int, const Tensor& v) {
                            const Tensor y = reduce(v * v, 1);
                            return y.defined() ? y : v;
                          },
                          [](int, const Tensor& v) {
                            const Tensor y = gather(v * v, 0);
                            return y.defined() ? y : v;
                          }};
    for (const OnRank& f : all)
      check_gradients(
          [&](const Tensors& x) {
            const PerDevice<Tensor> placed = spread(x, devices);
            return blend(on_ranks(devices, Tensors(placed.begin(), placed.end()), f));
          },
          {f64({2}), f64({2}), f64({2})});
  }
}
