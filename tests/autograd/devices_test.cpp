// One backward pass over the graphs of several devices: with a worker per device it gives the bits of the serial pass.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>

#include "tests/support/op_table.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::test;
using autograd::Record;

namespace {

Device cpu(int64_t i) { return {DeviceType::cpu, static_cast<int>(i)}; }

// A joint node as collectives are: output i, on the device of input i, is x_i + sum_j (0.1 (j + 1)) x_j.
Tensors mixed(const Tensors& x) {
  auto mix = [](const Tensors& from, const std::vector<bool>& make, bool transposed) {
    Tensors to(from.size());
    for (size_t i = 0; i < from.size(); ++i) {
      if (!make[i]) continue;
      Tensor sum;
      for (size_t j = 0; j < from.size(); ++j) {
        if (!from[j].defined()) continue;
        const double factor = 0.1 * static_cast<double>((transposed ? i : j) + 1) + (i == j);
        const Tensor part = from[j].to(from[i].defined() ? from[i].device() : cpu(0));
        const Tensor term = part * full({}, factor, {.dtype = part.dtype(), .device = part.device()});
        sum = sum.defined() ? sum + term : term;
      }
      to[i] = sum;
    }
    return to;
  };
  Tensors y;
  std::vector<Device> devices;
  {
    const autograd::Pause pause;
    y = mix(x, std::vector<bool>(x.size(), true), false);
  }
  bool any = false;
  for (const Tensor& t : x) any |= autograd::tracked(t), devices.push_back(t.device());
  if (!any) return y;
  autograd::record_joint("mix", y, x, [mix, devices](std::span<const Tensor> dys, std::span<const bool> wanted) {
    Tensors dx = mix({dys.begin(), dys.end()}, {wanted.begin(), wanted.end()}, true);
    for (size_t i = 0; i < dx.size(); ++i)
      if (dx[i].defined()) dx[i] = dx[i].to(devices[i]);
    return dx;
  });
  return y;
}

struct Graph {
  Tensors leaves, heads;
};

// A random graph on 1 to 4 devices; a pure function of the seed.
Graph random_graph(uint64_t seed) {
  Dice dice(seed);
  const int64_t devices = dice.integer(1, 4);
  Graph graph;
  std::vector<Tensors> pool(static_cast<size_t>(devices));
  const Shape shape{dice.integer(1, 5)};
  for (int64_t d = 0; d < devices; ++d)
    for (int64_t i = dice.integer(1, 3); i > 0; --i) {
      const Array values = make_values(input(shape).range(-1, 1), dice.bits());
      Tensor leaf = make_tensor(values, DType::f32, cpu(d));
      leaf.attach_grad(dice.integer(0, 2) ? GradReq::write : GradReq::add);
      graph.leaves.push_back(leaf);
      pool[static_cast<size_t>(d)].push_back(leaf);
    }
  auto any = [&](int64_t d) -> const Tensor& {
    const Tensors& from = pool[static_cast<size_t>(d)];
    return from[static_cast<size_t>(dice.integer(0, static_cast<int64_t>(from.size()) - 1))];
  };
  const Record record;
  for (int64_t step = dice.integer(1, 40); step > 0; --step) {
    const int64_t d = dice.integer(0, devices - 1);
    Tensors& to = pool[static_cast<size_t>(d)];
    switch (dice.integer(0, 7)) {
      case 0:
        to.push_back(tanh(any(d)));
        break;
      case 1:
        to.push_back(any(d) + any(d));
        break;
      case 2:
        to.push_back(any(d) * any(d));
        break;
      case 3:
        to.push_back(any(d) - any(d));
        break;
      case 4:
        to.push_back(any(dice.integer(0, devices - 1)).to(cpu(d)));
        break;
      case 5:
        to.push_back(any(d).detach());
        break;
      default: {
        Tensors x;
        for (int64_t i = 0; i < devices; ++i)
          if (i == d || dice.integer(0, 1)) x.push_back(any(i));
        for (Tensor& y : mixed(x)) pool[static_cast<size_t>(y.device().index)].push_back(y);
      }
    }
  }
  for (int64_t i = dice.integer(1, 4); i > 0; --i) {
    const Tensor& head = any(dice.integer(0, devices - 1));
    if (head.requires_grad()) graph.heads.push_back(head);
  }
  if (graph.heads.empty()) graph.heads.push_back(graph.leaves[0]);
  return graph;
}

using Bits = std::vector<std::vector<float>>;

Bits gradients(uint64_t seed, autograd::Executor* executor) {
  const Graph graph = random_graph(seed);
  autograd::backward(graph.heads, {}, executor);
  Bits bits;
  for (const Tensor& leaf : graph.leaves)
    bits.push_back(leaf.grad().defined() ? leaf.grad().to_vector<float>() : std::vector<float>{});
  return bits;
}

bool equal_bits(const Bits& a, const Bits& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].size() != b[i].size() || (!a[i].empty() && std::memcmp(a[i].data(), b[i].data(), a[i].size() * 4)))
      return false;
  return true;
}

}  // namespace

TEST_CASE("devices: 200 random graphs, a worker per device, the bits of the serial pass") {
  autograd::ThreadExecutor executor;
  int several = 0, reached = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    const uint64_t seed = seed_for("graph") + i;
    CAPTURE(seed);
    const Bits serial = gradients(seed, nullptr);
    CHECK(equal_bits(serial, gradients(seed, &executor)));
    std::set<Device> devices;
    for (const Tensor& leaf : random_graph(seed).leaves) devices.insert(leaf.device());
    several += devices.size() > 1;
    for (const auto& g : serial) reached += !g.empty();
  }
  CHECK(several > 100);
  CHECK(reached > 300);
}

TEST_CASE("devices: a graph's gradient agrees with differences across devices and joint nodes") {
  const auto f = [](const Tensors& v) {
    const Tensors x{v[0], v[1].to("cpu:1"), v[0].to("cpu:2")};
    const Tensors y = mixed(x);
    return tanh(y[0]) * y[1].to("cpu:0") + y[2].to("cpu:0");
  };
  const Tensors x{tensor({0.5, -1.0}), tensor({0.25, 2.0})};
  const auto result = autograd::gradcheck(f, x);
  CHECK_MESSAGE(result.ok, result.text);
}

TEST_CASE("devices: each node runs on a thread of its device") {
  std::mutex mutex;
  std::set<std::pair<Device, std::thread::id>> seen;
  Tensors heads;
  for (int i = 0; i < 3; ++i) {
    const DeviceGuard guard(cpu(i));
    const Tensor x = ones({2}).attach_grad();
    const Record record;
    Tensor y = x;
    for (int k = 0; k < 5; ++k) {
      y = y * x;
      autograd::as_node(y.impl().slot)->add_hook(0, [&](const Tensor&) {
        const std::lock_guard lock(mutex);
        seen.emplace(current_device(), std::this_thread::get_id());
        return Tensor();
      });
    }
    heads.push_back(y);
  }
  autograd::ThreadExecutor executor;
  autograd::backward(heads, {}, &executor);
  CHECK(seen.size() == 3);
  std::set<std::thread::id> threads;
  for (const auto& [device, thread] : seen) threads.insert(thread);
  CHECK(threads.size() == 3);
}

TEST_CASE("devices: grad() with workers, and a gradient for each variable") {
  const Tensor a = ones({2}).attach_grad(), b = full({2}, 2, {.device = "cpu:1"}).attach_grad();
  autograd::ThreadExecutor executor;
  const Record record;
  const Tensor y = (a * b.to("cpu:0")).sum(), z = (b * b).sum();
  const Tensors g = autograd::grad({y, z}, {a, b}, {}, &executor);
  CHECK(g[0].to_vector<float>() == std::vector<float>{2, 2});
  CHECK(g[1].to_vector<float>() == std::vector<float>{5, 5});
  CHECK(g[1].device() == Device("cpu:1"));
}

TEST_CASE("devices: an executor for one device, and for a leaf alone") {
  autograd::ThreadExecutor executor;
  const Tensor x = ones({2}).attach_grad();
  autograd::backward({x}, {}, &executor);
  CHECK(x.grad().to_vector<float>() == std::vector<float>{1, 1});
  Tensor y;
  {
    const Record record;
    y = x * x;
  }
  autograd::backward({y}, {}, &executor);
  CHECK(x.grad().to_vector<float>() == std::vector<float>{2, 2});
}
