#include "weft/parallel/split.h"

#include <doctest/doctest.h>

#include "tests/parallel/devices.h"
#include "tests/support/text_of.h"
#include "weft/nn/data/sample.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

struct Batch {
  Tensor image, mask;
  int epoch = 0;
};

std::vector<int64_t> extents(const PerDevice<Tensor>& shares) {
  std::vector<int64_t> sizes;
  for (const Tensor& share : shares) sizes.push_back(share.size(0));
  return sizes;
}

}  // namespace

template <>
struct weft::parallel::Fields<Batch> {
  static auto tie(Batch& b) { return std::tie(b.image, b.mask); }
};

TEST_SUITE("parallel/split") {
  TEST_CASE("sizes follow numpy's array_split") {
    const auto sizes = [](int64_t batch, int devices) {
      const auto places = devices > 4 ? cpus(devices) : devices_here(devices);  // 4 are simulated
      return extents(split_and_load(zeros({batch, 2}), places, 0, false));
    };
    CHECK(sizes(10, 4) == std::vector<int64_t>{3, 3, 2, 2});
    CHECK(sizes(38, 8) == std::vector<int64_t>{5, 5, 5, 5, 5, 5, 4, 4});
    CHECK(sizes(31, 8) == std::vector<int64_t>{4, 4, 4, 4, 4, 4, 4, 3});
    CHECK(sizes(3, 4) == std::vector<int64_t>{1, 1, 1, 0});
  }

  TEST_CASE("every share lies on its device and holds its samples") {
    const Tensor x = arange(0, 12).reshape({6, 2});
    const auto shares = split_and_load(x, devices_here(3));
    for (int i = 0; i < 3; ++i) {
      CHECK(shares[i].device() == device_here(i));
      CHECK(shares[i].to_vector<int>() == x.slice(0, 2 * i, 2 * i + 2).to_vector<int>());
    }
  }

  TEST_CASE("another axis, and one device without a copy") {
    const DeviceGuard here(device_here(0));
    const Tensor x = arange(0, 12).reshape({2, 6});
    CHECK(split_and_load(x, devices_here(3), 1)[2].to_vector<int>() == std::vector<int>{4, 5, 10, 11});
    CHECK(split_and_load(x, devices_here(1))[0].raw() == x.raw());
  }

  TEST_CASE("an uneven batch is an error that says what to do") {
    CHECK(text_of([] {
            split_and_load(zeros({33, 3, 8, 8}), devices_here(4));
          }) ==
          "split_and_load: batch 33 of shape [33, 3, 8, 8] does not split evenly over 4 devices along axis 0; use a "
          "multiple "
          "of 4 or even_split = false");
    CHECK_THROWS_AS(split_and_load(zeros({0, 3}), devices_here(2), 0, false), ShapeError);
    CHECK_THROWS_AS(split_and_load(zeros({4}), devices_here(2), 1, false), IndexError);
    CHECK_THROWS_AS(split_and_load(zeros({4}), {}, 0, false), DeviceError);
  }

  TEST_CASE("weights share out in proportion") {
    CHECK(share_sizes(10, devices_here(2), {.weights = {3, 1}}, {10}) == std::vector<int64_t>{8, 2});
    CHECK(share_sizes(5, devices_here(3), {.weights = {1, 0, 1}}, {5}) == std::vector<int64_t>{3, 0, 2});
    CHECK_THROWS_AS(share_sizes(5, devices_here(2), {.weights = {1}}, {5}), Error);
  }

  TEST_CASE("nests keep their containers, host arrays are cut, other values go everywhere") {
    const Tensor x = arange(0, 8).reshape({4, 2});
    const auto nest =
        std::tuple(x, std::vector<Tensor>{x, x}, std::map<std::string, Tensor>{{"mask", x}}, std::optional(x),
                   std::pair(x, 0.5), std::vector<int>{1, 2, 3, 4}, std::string("name"));
    const auto shares = split_and_load(nest, devices_here(2));
    CHECK(shares.size() == 2);
    const auto& [tensor, list, map, optional, pair, host, name] = shares[1];
    const std::vector<int> second{4, 5, 6, 7};
    CHECK(tensor.to_vector<int>() == second);
    CHECK(list.size() == 2);
    CHECK(list[1].to_vector<int>() == second);
    CHECK(map.at("mask").to_vector<int>() == second);
    CHECK(optional->to_vector<int>() == second);
    CHECK(pair.second == 0.5);
    CHECK(host == std::vector<int>{3, 4});
    CHECK(name == "name");
  }

  TEST_CASE("a struct says what it consists of") {
    const auto shares = split_and_load(Batch{zeros({4, 3}), ones({4}), 7}, devices_here(2));
    CHECK(shares[0].image.shape() == Shape{2, 3});
    CHECK(shares[1].mask.device() == device_here(1));
    CHECK(shares[1].epoch == 7);
  }

  TEST_CASE("a batch of the loader is cut, its names too; labels may be missing") {
    data::Batch batch{zeros({3, 1, 2, 2}), zeros({3, 2, 2}, {.dtype = DType::u8}), {"a", "b", "c"}};
    const auto shares = split_and_load(batch, devices_here(2), 0, false);
    CHECK(shares[0].image.shape() == Shape{2, 1, 2, 2});
    CHECK(shares[1].labels.shape() == Shape{1, 2, 2});
    CHECK(shares[0].names == std::vector<std::string>{"a", "b"});
    CHECK(shares[1].names == std::vector<std::string>{"c"});
    batch.labels = Tensor();
    CHECK_FALSE(split_and_load(batch, devices_here(2), 0, false)[1].labels.defined());
  }

  TEST_CASE("markers: an axis of its own, the whole, already sharded") {
    const DeviceGuard here(device_here(0));
    const auto devices = devices_here(2);
    const Tensor x = zeros({3, 4});
    const PerDevice<Tensor> sharded(devices, {ones({1}), ones({5}).to(device_here(1))});
    const auto shares = split_and_load(std::tuple(Split{x, 1}, Replicate{ones({7})}, sharded), devices);
    CHECK(std::get<0>(shares[0]).shape() == Shape{3, 2});
    CHECK(std::get<1>(shares[1]).shape() == Shape{7});
    CHECK(std::get<1>(shares[1]).device() == devices[1]);
    CHECK(std::get<2>(shares[1]).shape() == Shape{5});
    const PerDevice<Tensor> elsewhere({devices[1], devices[0]}, {ones({5}).to(devices[1]), ones({1})});
    if (distinct_or_skip(2)) CHECK_THROWS_AS(split_and_load(elsewhere, devices), DeviceError);
  }

  TEST_CASE("leaves whose batches differ are an error that names both") {
    CHECK(text_of([] {
            split_and_load(std::tuple(zeros({4}), std::vector<Tensor>{zeros({5, 2})}), devices_here(2), 0, false);
          }) ==
          "split_and_load: data[0] has 4 samples, data[1][0] of shape [5, 2] has 5; all leaves need the same batch, or "
          "mark one "
          "as Replicate");
  }

  TEST_CASE("positional and named arguments both come once per device") {
    const auto [inputs, kwargs] =
        split_load_kwargs(std::tuple(), std::map<std::string, Tensor>{{"x", zeros({4})}}, devices_here(2));
    CHECK(inputs.size() == 2);
    CHECK(kwargs[1].at("x").shape() == Shape{2});
  }

  TEST_CASE("a tracked batch takes the gradients of its shares") {
    Tensor x = arange(0, 4).attach_grad();
    Tensors losses;
    {
      autograd::Record record;
      const auto shares = split_and_load(x, devices_here(2));
      for (const Tensor& share : shares) losses.push_back((share * share).sum());
    }
    autograd::backward(losses);
    CHECK(x.grad().to_vector<int>() == std::vector<int>{0, 2, 4, 6});
  }

  TEST_CASE("tuple_map") {
    const Tensor x = ones({2});
    CHECK(std::get<0>(tuple_map(x)).same(x));
    CHECK(std::get<1>(tuple_map(std::array<Tensor, 2>{x, x})).same(x));
    CHECK(std::get<0>(tuple_map(tuple_map(x))).same(x));
    CHECK(tuple_map(3) == 3);
  }
}
