// Autocast: nesting, what is cast and kept, gradients, threads. The table of operations is
// golden/autocast_golden_test.cpp.
#include "weft/autograd/autocast.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <thread>

#include "weft/autograd/backward.h"
#include "weft/autograd/function.h"
#include "weft/autograd/ops/batch_norm.h"
#include "weft/autograd/ops/copy.h"
#include "weft/autograd/ops/group_norm.h"
#include "weft/autograd/ops/in_place.h"
#include "weft/autograd/ops/linear.h"
#include "weft/autograd/ops/matmul.h"
#include "weft/autograd/ops/reduce.h"
#include "weft/autograd/ops/scatter.h"
#include "weft/autograd/ops/unary.h"
#include "weft/nn/conv2d.h"
#include "weft/nn/linear.h"
#include "weft/parallel/parallel.h"
#include "weft/tensor/operators.h"

using namespace weft;
using autograd::Autocast;
using autograd::for_product;
using autograd::Record;

namespace {

// What a product of f32 operands comes out in here.
DType product_type() { return matmul(ones({2, 2}), ones({2, 2})).dtype(); }

std::vector<float> values(const Tensor& x) { return x.to(DType::f32).to_vector<float>(); }

// A user's product that says nothing of dtypes.
struct Product : autograd::Function {
  Tensors forward(autograd::Context& context, const Tensors& x) override {
    context.save(x[0]), context.save(x[1]);
    return {matmul(x[0], x[1])};
  }
  Tensors backward(autograd::Context& context, const Tensors& dy) override {
    return {matmul(dy[0], context.saved(1).transpose()), matmul(context.saved(0).transpose(), dy[0])};
  }
};

}  // namespace

TEST_SUITE("autograd/autocast") {
  TEST_CASE("scopes nest, restore, also after exceptions, and belong to a thread") {
    CHECK(product_type() == DType::f32);
    {
      const Autocast outer(DType::bf16);
      CHECK(product_type() == DType::bf16);
      {
        const Autocast inner(DType::f16);
        CHECK(product_type() == DType::f16);
        const Autocast none({.enabled = false});
        CHECK(product_type() == DType::f32);
        CHECK_FALSE(autograd::is_autocasting());
        const Autocast again(DType::bf16);
        CHECK(product_type() == DType::bf16);
      }
      CHECK(product_type() == DType::bf16);
      try {
        const Autocast inner(DType::f16);
        throw std::runtime_error("out");
      } catch (const std::runtime_error&) {
      }
      CHECK(product_type() == DType::bf16);
      DType elsewhere = DType::i64;
      std::thread([&] { elsewhere = product_type(); }).join();
      CHECK(elsewhere == DType::f32);
    }
    CHECK(product_type() == DType::f32);
    CHECK_THROWS_WITH_AS(Autocast(DType::f32), "Autocast: float32 is not a 16-bit type; use bfloat16 or float16",
                         DtypeError);
    CHECK(product_type() == DType::f32);
  }

  TEST_CASE("an autocast for one type of device leaves the others") {
    const Autocast cuda(DType::f16, {.device_type = DeviceType::cuda});
    CHECK(product_type() == DType::f32);
    const Autocast cpu(DType::bf16, {.device_type = DeviceType::cpu});
    CHECK(product_type() == DType::bf16);
    CHECK(autograd::CastState::current().product(DeviceType::cuda) == DType::f16);
    const Autocast none({.enabled = false, .device_type = DeviceType::cpu});
    CHECK(product_type() == DType::f32);
    CHECK(autograd::is_autocasting());
  }

  TEST_CASE("f64, integers and in-place operations are left alone") {
    const Autocast autocast(DType::bf16);
    const Tensor wide = ones({2, 2}, {.dtype = DType::f64});
    CHECK(matmul(wide, wide).dtype() == DType::f64);
    CHECK(exp(wide).dtype() == DType::f64);
    CHECK(sum(ones({2}, {.dtype = DType::i64})).dtype() == DType::i64);
    Tensor half = ones({2}, {.dtype = DType::bf16});
    exp_(half);
    CHECK(half.dtype() == DType::bf16);
  }

  TEST_CASE("a parameter is cast once per scope and value; other tensors each time") {
    Tensor w = randn({3, 3}).attach_grad();
    const Tensor x = randn({3, 3});
    const void* first = nullptr;
    Tensor kept;
    {
      const Autocast autocast(DType::bf16);
      kept = for_product(w);
      first = kept.raw();
      CHECK(for_product(w).raw() == first);
      {
        const Autocast inner(DType::bf16);
        CHECK(for_product(w).raw() == first);
        const Record record;
        CHECK(for_product(w).raw() == first);
        CHECK(for_product(w).requires_grad());
        CHECK(for_product(w.transpose()).raw() != first);
      }
      CHECK(for_product(x).raw() != for_product(x).raw());
      add_(w.detach(), 1.0);
      CHECK(values(for_product(w)) == values(w.detach().to(DType::bf16)));
      CHECK(for_product(w).raw() != first);
      const Autocast forgetful(DType::bf16, {.cache = false});
      const Tensor a = for_product(w), b = for_product(w);
      CHECK(a.raw() != b.raw());
    }
    const Autocast next(DType::bf16);
    CHECK(for_product(w).raw() != first);
  }

  TEST_CASE("gradients are those of casts by hand, in the parameter's f32, inside the scope and outside") {
    const Tensor x = randn({5, 4}), dy = randn({5, 3}).to(DType::bf16);
    for (const bool inside : {false, true}) {
      CAPTURE(inside);
      Tensor w = randn({3, 4}).attach_grad(), b = randn({3}).attach_grad();
      Tensor v = w.detach().clone().attach_grad(), c = b.detach().clone().attach_grad();
      Tensor y, z;
      const Record record;
      z = linear(x.to(DType::bf16), v.to(DType::bf16), c.to(DType::bf16));
      {
        const Autocast autocast(DType::bf16);
        y = linear(x, w, b);
        if (inside) y.backward({.head_grads = {dy}});
      }
      if (!inside) y.backward({.head_grads = {dy}});
      z.backward({.head_grads = {dy}});
      CHECK(y.dtype() == DType::bf16);
      CHECK(values(y) == values(z));
      CHECK(w.grad().dtype() == DType::f32);
      CHECK(values(w.grad()) == values(v.grad()));
      CHECK(values(b.grad()) == values(c.grad()));
    }
  }

  TEST_CASE("losses that share a parameter have their backward passes one after the other, in one scope") {
    Tensor w = randn({3, 3}).attach_grad(GradReq::add);
    const Record record;
    const Autocast autocast(DType::bf16);
    const Tensor a = sum(matmul(ones({2, 3}), w)), b = sum(matmul(ones({2, 3}), w));
    a.backward();
    b.backward();
    const Tensor c = sum(matmul(ones({2, 3}), w));
    c.backward();
    CHECK(values(w.grad()) == std::vector<float>(9, 6));
  }

  TEST_CASE("gradients of several uses are summed in f32") {
    Tensor w = full({1, 1}, 1.0).attach_grad();
    const Record record;
    const Autocast autocast(DType::bf16);
    const Tensor loss = sum(matmul(full({1, 1}, 256.0), w)) + sum(matmul(ones({1, 1}), w));
    loss.backward();
    CHECK(w.grad().item<float>() == 257);  // bf16 would say 256
  }

  TEST_CASE("a Function's backward runs under the autocast of its forward") {
    Tensor a = randn({2, 3}).attach_grad(), b = randn({3, 2}).attach_grad();
    Tensor y;
    {
      const Record record;
      const Autocast autocast(DType::bf16);
      y = autograd::apply<Product>(a, b);
    }
    CHECK(y.dtype() == DType::bf16);
    y.backward({.head_grads = {ones({2, 2}, {.dtype = DType::bf16})}});
    CHECK(a.grad().dtype() == DType::f32);
    CHECK(b.grad().dtype() == DType::f32);
    const Tensor expected = matmul(ones({2, 2}, {.dtype = DType::bf16}), b.detach().to(DType::bf16).transpose());
    CHECK(values(a.grad()) == values(expected));
  }

  TEST_CASE("second gradients pass the casts") {
    Tensor w = randn({3, 3}).attach_grad();
    const Record record;
    Tensor y;
    {
      const Autocast autocast(DType::bf16);
      y = sum(square(matmul(ones({2, 3}), w)));
    }
    const Tensor dw = autograd::grad({y}, {w}, {.create_graph = true})[0];
    CHECK(dw.dtype() == DType::f32);
    sum(dw).backward();
    CHECK(values(w.grad()) == std::vector<float>(9, 12));  // y = 2 sum_j (sum_i w_ij)^2
  }

  TEST_CASE("norms of 16-bit input take f32 parameters and statistics") {
    const Autocast autocast(DType::bf16);
    const Tensor x = (randn({16, 3, 4, 4}) + 100).to(DType::bf16), gamma = ones({3}), beta = zeros({3});
    Tensor mean = zeros({3}), var = ones({3});
    const Tensor y = batch_norm(x, gamma, beta, mean, var, {.momentum = 1, .training = true});
    CHECK(y.dtype() == DType::bf16);
    const std::vector<float> expected = values(weft::mean(x.to(DType::f64), {.axes = {0, 2, 3}}));
    for (size_t c = 0; c < 3; ++c) CHECK(values(mean)[c] == doctest::Approx(expected[c]).epsilon(1e-5));
    CHECK(group_norm(x, 1, gamma, beta).dtype() == DType::f32);
    CHECK(layer_norm(x, {4}, ones({4}), zeros({4})).dtype() == DType::f32);
    CHECK(instance_norm(x, gamma, beta).dtype() == DType::bf16);
  }

  TEST_CASE("operations that take one dtype meet in the widest") {
    const Autocast autocast(DType::bf16);
    const Tensor index = zeros({2}, {.dtype = DType::i64}), half = ones({2}, {.dtype = DType::bf16});
    CHECK(index_add(zeros({3}), 0, index, half).dtype() == DType::f32);
    CHECK(index_add(half, 0, index, ones({2})).dtype() == DType::f32);
    CHECK(index_add(half, 0, index, half).dtype() == DType::bf16);
  }

  TEST_CASE("workers take the autocast of the thread that gave the work, also when its scope has ended") {
    for (const int workers : {0, 1, 2}) {
      parallel::Parallel<int, DType> pool(workers, std::function<DType(int)>([](int) { return product_type(); }));
      {
        const Autocast autocast(DType::bf16);
        for (int i = 0; i < 3; ++i) pool.put(i);
      }
      pool.put(3);
      CHECK(pool.drain() == std::vector<DType>{DType::bf16, DType::bf16, DType::bf16, DType::f32});
    }
  }
}
