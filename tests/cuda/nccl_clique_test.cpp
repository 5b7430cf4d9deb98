// NCCL on one device: a clique of one rank, which is all that one card takes. There collectives of weft are copies, so
// these cases ask NCCL itself. They run on a card and in the simulator.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support/hooks.h"
#include "tests/support/text_of.h"
#include "weft/cuda/nccl_cliques.h"
#include "weft/tensor/collective.h"
#include "weft/tensor/creation.h"

using namespace weft;
using namespace weft::test;
using cuda::Clique;
using cuda::Cliques;

namespace {

const Device card = "cuda:0";
using Numbers = std::vector<double>;

// The communicator that collectives would ask if there were more devices.
Communicator* nccl() {
  Communicator* const registered = register_communicator(DeviceType::cuda, nullptr);
  register_communicator(DeviceType::cuda, registered);
  return registered;
}

Tensor values(DType dtype) { return tensor({3.f, 0.f, 1.f, 7.f, 2.f, 0.f}).to(dtype).to(card); }
Numbers numbers(const Tensor& x) { return x.to("cpu:0").to(DType::f64).to_vector<double>(); }

// y = x, queued on the current stream.
void all_reduce(Clique& clique, const Tensor& x, const Tensor& y) {
  clique.launch(
      {"all_reduce", "float32[6]", 24}, {current_stream(card)}, [&](size_t, ncclComm_t comm, cudaStream_t stream) {
        return ncclAllReduce(x.raw(), y.raw(), static_cast<size_t>(x.numel()), ncclFloat32, ncclSum, comm, stream);
      });
}

}  // namespace

TEST_SUITE("cuda/nccl clique of one rank") {
  TEST_CASE("the four collectives of every dtype, on one communicator") {
    if (!cuda_or_skip()) return;
    REQUIRE(nccl());
    const auto made = [] {
      const cuda::CliqueCounts counts = Cliques::instance().counts();
      return counts.created + counts.split;
    };
    const int64_t before = made();
    for (const DType dtype :
         {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i64, DType::i32, DType::u8, DType::boolean}) {
      CAPTURE(to_string(dtype));
      const Tensor x = values(dtype);
      Tensors y;
      for (int i = 0; i < 4; ++i) y.push_back(zeros({6}, {.dtype = dtype, .device = card}));
      const std::span<const Tensor> from(&x, 1);
      CHECK(nccl()->all_reduce(from, {&y[0], 1}));
      CHECK(nccl()->broadcast(x, {&y[1], 1}));
      CHECK(nccl()->reduce(from, y[2]));
      CHECK(nccl()->all_gather(from, {&y[3], 1}));
      for (const Tensor& copy : y) CHECK(numbers(copy) == numbers(x));
    }
    nccl()->finish({&card, 1});
    CHECK(made() <= before + 1);
  }

  TEST_CASE("a communicator is made, used and destroyed") {
    if (!cuda_or_skip()) return;
    const Tensor x = values(DType::f32);
    for (int round = 0; round < 2; ++round) {
      const Tensor y = zeros({6}, {.device = card});
      Clique clique({0});
      CHECK(clique.is_usable());
      all_reduce(clique, x, y);
      CHECK(clique.is_busy());
      synchronize(card);
      CHECK_FALSE(clique.look(cuda::WaitClock::now()).has_value());
      CHECK_FALSE(clique.is_busy());
      CHECK(numbers(y) == numbers(x));
    }
  }

  TEST_CASE(
      "one is aborted with work outstanding: it says what it did, is of no use any more, and the next one works") {
    if (!cuda_or_skip()) return;
    const Tensor x = values(DType::f32), y = zeros({6}, {.device = card}), z = zeros({6}, {.device = card});
    {
      Clique clique({0});
      all_reduce(clique, x, y), all_reduce(clique, x, y);
      CHECK(clique.give_up("told to") ==
            "told to; the last operations on cuda:0, newest first: all_reduce #2 "
            "float32[6], all_reduce #1 float32[6]");
      CHECK_FALSE(clique.is_usable());
      CHECK_FALSE(clique.is_stuck());
      CHECK(clique.has_lost_results());
      CHECK(text_of([&] { all_reduce(clique, x, y); }).find("another thread gave the communicator up") !=
            std::string::npos);
      CHECK(clique.give_up("again").empty());
    }
    synchronize(card);
    Clique next({0});
    all_reduce(next, x, z);
    CHECK(numbers(z) == numbers(x));
  }
}
