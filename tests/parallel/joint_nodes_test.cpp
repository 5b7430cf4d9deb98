// Collectives in the ranks' own backward passes, which meet at their joint nodes.
#include <doctest/doctest.h>

#include "tests/parallel/ranks.h"
#include "tests/support/text_of.h"
#include "weft/autograd/backward.h"
#include "weft/autograd/ops/binary.h"
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/unary.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/collectives.h"
#include "weft/parallel/parallel.h"
#include "weft/tensor/operators.h"
#include "weft/tensor/random.h"

using namespace weft;
using namespace weft::parallel;
using namespace weft::test;

namespace {

using Floats = std::vector<float>;
using Share = std::tuple<Tensor, Tensor>;

// What every rank does to its share x_r: a loss that reaches all ranks' inputs twice.
Tensor coupled_loss(const Tensor& x, double rank) {
  const Tensor mean = all_reduce(x * x);
  const Tensor y = x * mean * (1.0 + rank);
  return weft::sum(all_gather(y) * (2.0 + rank)) + weft::sum(x);
}

}  // namespace

TEST_SUITE("parallel/joint nodes in a worker's own backward") {
  TEST_CASE("each rank takes the gradients of its own inputs, as in one pass over all") {
    const DeviceGuard here(device_here(0));
    for (const DeviceType type : kinds())
      for (const int n : {1, 2, 3}) {
        const auto devices = devices_of(type, n);
        for (const bool with_grad : {false, true}) {
          std::vector<Floats> expected(static_cast<size_t>(n)), found(static_cast<size_t>(n));
          for (const bool own : {false, true}) {
            Tensors x;
            for (int i = 0; i < n; ++i)
              x.push_back(full({2}, i + 1, {.device = devices[static_cast<size_t>(i)]}).attach_grad());
            const autograd::Record record;
            auto& to = own ? found : expected;
            const auto losses = on_ranks(devices, x, [&](int rank, const Tensor& v) {
              const Tensor loss = coupled_loss(v, rank);
              if (!own) return loss;
              if (with_grad)
                to[static_cast<size_t>(rank)] = autograd::grad({loss}, {v})[0].to_vector<float>();
              else
                loss.backward();
              return loss;
            });
            if (!own) parallel_backward(losses);
            if (!own || !with_grad)
              for (size_t i = 0; i < x.size(); ++i) to[i] = x[i].grad().to_vector<float>();
          }
          CHECK(found == expected);
          CHECK(found[0][0] != 0);
        }
      }
  }

  TEST_CASE("a graph that is kept can be used again; one that was used is refused in all ranks") {
    const DeviceGuard here(device_here(0));
    const auto devices = devices_here(2);
    Tensors x{full({2}, 1).attach_grad(GradReq::add),
              full({2}, 2, {.device = device_here(1)}).attach_grad(GradReq::add)};
    const autograd::Record record;
    on_ranks(devices, x, [](int rank, const Tensor& v) {
      const Tensor loss = coupled_loss(v, rank);
      loss.backward({.retain_graph = true});
      const Floats once = v.grad().to_vector<float>();
      loss.backward();
      if (v.grad().to_vector<float>() != (full({2}, 2) * Tensor(weft::tensor(once, {2}))).to_vector<float>())
        throw Error("not twice as much");
      return loss;
    });
    const std::string text = text_of([&] {
      on_ranks(devices, x, [](int rank, const Tensor& v) {
        const Tensor loss = coupled_loss(v, rank);
        loss.backward();
        loss.backward();
        return loss;
      });
    });
    CHECK(text.find("parallel: 2 of 2 devices failed") == 0);
    CHECK(text.find("was already used and released") != std::string::npos);
    const std::string first = text_of([&] {  // the joint node itself, which no other node guards
      on_ranks(devices, x, [](int, const Tensor& v) {
        const Tensor y = all_reduce(v);
        const Tensor dy = ones_like(y);
        y.backward({.head_grads = {dy}}), y.backward({.head_grads = {dy}});
        return y;
      });
    });
    CHECK(first.find("all_reduce") != std::string::npos);
    CHECK(first.find("was already used and released") != std::string::npos);
  }

  TEST_CASE("a rank that fails, returns, or asks for another order fails the others at once") {
    const DeviceGuard here(device_here(0));
    const auto devices = devices_here(3);
    const Tensors x{full({2}, 1).attach_grad(), full({2}, 2, {.device = device_here(1)}).attach_grad(),
                    full({2}, 3, {.device = device_here(2)}).attach_grad()};
    const autograd::Record record;
    const auto run = [&](const std::function<void(int, const Tensor&)>& end) {
      return text_of([&] {
        on_ranks(devices, x, [&](int rank, const Tensor& v) {
          const Tensor loss = coupled_loss(v, rank);
          end(rank, loss);
          return loss;
        });
      });
    };
    CHECK(run([](int rank, const Tensor& loss) {
            if (rank == 1) throw Error("broken before backward");
            loss.backward();
          }) == said_here("parallel: 1 of 3 devices failed. cpu:1: broken before backward"));
    const std::string returned = run([](int rank, const Tensor& loss) {
      if (rank != 2) loss.backward();
    });
    CHECK(returned.find(said_here("parallel: 2 of 3 devices failed. cpu:0: backward of all_gather (operation ")) == 0);
    CHECK(returned.find(said_here("rank 2 on cpu:2 returned without arriving")) != std::string::npos);
    CHECK(run([](int rank, const Tensor& loss) {
            if (rank == 0)
              autograd::as_node(loss.impl().slot)->add_hook(0, [](const Tensor&) -> Tensor { throw Error("hook"); });
            loss.backward();
          }) == said_here("parallel: 1 of 3 devices failed. cpu:0: hook"));
    const std::string kept = run([](int rank, const Tensor& loss) { loss.backward({.retain_graph = rank == 1}); });
    CHECK(kept.find("ranks disagree") != std::string::npos);
    const std::string higher = run([](int, const Tensor& loss) { loss.backward({.create_graph = true}); });
    CHECK(higher.find("create_graph in a rank's own backward pass") != std::string::npos);
    CHECK(run([](int, const Tensor& loss) { loss.backward(); }) == "nothing was thrown");
  }

  TEST_CASE("what the pullback throws reaches every rank") {
    const DeviceGuard here(device_here(0));
    const auto devices = devices_here(2);
    const Tensors x{full({2}, 1).attach_grad(), full({2}, 2, {.device = device_here(1)}).attach_grad()};
    const autograd::Record record;
    const std::string text = text_of([&] {
      on_ranks(devices, x, [](int, const Tensor& v) {
        Tensor y = all_reduce(v);
        const Tensor z = y * y;
        y.storage().bump_version("test");
        z.sum().backward();
        return z;
      });
    });
    CHECK(text.find("was changed in place by 'test'") != std::string::npos);
  }

  TEST_CASE("in a pool, with Parallelizable") {
    const DeviceGuard here(device_here(0));
    struct Coupled : Parallelizable<Tensor, Tensor> {
      Tensor forward_backward(Tensor x) override {
        Tensor loss;
        {
          const autograd::Record record;
          loss = coupled_loss(x, x.device().index);
        }
        loss.backward();
        return loss;
      }
    } task;
    const auto devices = devices_here(2);
    Parallel pool(2, task, {.serial_init = false, .devices = devices});
    std::vector<Floats> first;
    for (int round = 0; round < 20; ++round) {
      std::vector<Floats> gradients;
      Tensors x{full({2}, 1).attach_grad(), full({2}, 2, {.device = device_here(1)}).attach_grad()};
      for (const Tensor& share : x) pool.put(share);
      pool.drain();
      for (const Tensor& share : x) gradients.push_back(share.grad().to_vector<float>());
      if (round == 0) first = gradients;
      CHECK(gradients == first);
    }
    Parallel alone(2, task, {.serial_init = false, .devices = {device_here(0)}});
    alone.put(full({2}, 1).attach_grad());
    alone.close();
    CHECK_THROWS_AS(alone.get(), CommError);
  }
}
