#include "weft/nn/checkpoint.h"

#include <doctest/doctest.h>

#include "tests/support/temp_folder.h"
#include "weft/nn/ema.h"
#include "weft/nn/nn.h"
#include "weft/nn/optim/schedule.h"
#include "weft/parallel/backward.h"
#include "weft/parallel/data_parallel.h"
#include "weft/parallel/trainer.h"
#include "weft/tensor/tuning.h"
#include "weft/weft.h"

using namespace weft;
using namespace weft::nn;

namespace {

Checkpoint some_checkpoint() {
  Generator generator(0xfedcba9876543210u);
  generator.set_calls(12);
  Checkpoint c;
  c.put("model", NamedTensors{{"w", tensor({1.f, 2.f})}, {"b", tensor({0.5})}});
  c.put("step", int64_t{1} << 40)
      .put("best", 0.73)
      .put("generator", generator)
      .put("order", tensor<int64_t>({2, 0, 1}));
  c.put_text("note", "a \"quoted\" line\n");
  return c;
}

struct Net : Module {
  Conv2d conv{2, 4, {.kernel = 3, .padding = 1}};
  BatchNorm2d norm{4, {.relu = true, .sync = true}};
  Dropout dropout{0.25};
  Conv2d head{4, 3, {.kernel = 1}};
  WEFT_MEMBERS(conv, norm, dropout, head)
  Tensor forward(const Tensor& x) const { return head(dropout(norm(conv(x)))); }
};

// A training on some devices, cut into four shares; its batches are drawn in an order that it keeps.
struct Training {
  explicit Training(const std::vector<Device>& devices)
      : model(net, devices, {.shares = 4}),
        criterion(SoftmaxCrossEntropyLoss({.ignore_label = -1}), devices, {.shares = 4}),
        trainer(net.parameters(), optim::AdamW({.lr = 0.1, .weight_decay = 0.1})),
        ema(net) {}

  void steps(int count) {
    const auto schedule = optim::warm_up(2, optim::poly(0.1, {.steps = 8}));
    for (int i = 0; i < count; ++i) {
      trainer.set_learning_rate(schedule(trainer.steps()));
      const auto batch = static_cast<size_t>(trainer.steps());
      PerDevice<Tensor> losses;
      {
        const autograd::Record record;
        losses = criterion(model(images[order[batch]]), masks[order[batch]]);
      }
      parallel::parallel_backward(losses);
      trainer.clip_grad_norm(1);
      trainer.update();
      ema.update();
    }
  }

  Checkpoint checkpoint() const {
    Checkpoint c;
    c.put("model", net).put("trainer", trainer.state()).put("ema", ema.state()).put("generator", default_generator());
    return c.put("order",
                 tensor(std::vector<int64_t>(order.begin(), order.end()), {static_cast<int64_t>(order.size())}));
  }
  void resume(const Checkpoint& c) {
    PendingLoad weights = c.prepare("model", net);
    trainer.load_state(c.tensors("trainer"));
    ema.load_state(c.tensors("ema"));
    weights.commit();
    default_generator() = c.generator("generator");
    const auto positions = c.tensor("order").to_vector<int64_t>();
    order.assign(positions.begin(), positions.end());
  }

  // Everything that a further step depends on.
  std::vector<std::vector<double>> bits() const {
    std::vector<std::vector<double>> all;
    for (const auto& list : {state_of(net), trainer.state(), ema.state()})
      for (const auto& [name, tensor] : list) all.push_back(tensor.to_vector<double>());
    all.push_back({static_cast<double>(default_generator().calls())});
    return all;
  }

  Net net;
  parallel::DataParallelModel<Net> model;
  parallel::DataParallelCriterion<SoftmaxCrossEntropyLoss> criterion;
  parallel::Trainer trainer;
  Ema ema;
  std::vector<Tensor> images, masks;
  std::vector<size_t> order{3, 1, 0, 2, 0, 3, 2, 1};
};

void give_data(Training& t) {
  const GeneratorGuard data{Generator(77)};
  for (int i = 0; i < 4; ++i) {
    t.images.push_back(randn({6, 2, 5, 4}));
    t.masks.push_back((uniform({6, 5, 4}, -1, 3)).to(DType::i64));
  }
}

}  // namespace

TEST_SUITE("nn/checkpoint") {
  TEST_CASE("parts come back as they were put") {
    const test::TempFolder folder;
    save_checkpoint(some_checkpoint(), folder / "c");
    const Checkpoint c = load_checkpoint(folder / "c");
    CHECK(c.number("step") == int64_t{1} << 40);
    CHECK(c.real("best") == 0.73);
    CHECK(c.tensors("model").size() == 2);
    CHECK(c.tensor("order").to_vector<int64_t>() == std::vector<int64_t>{2, 0, 1});
    CHECK(c.generator("generator").seed() == 0xfedcba9876543210u);
    CHECK(c.generator("generator").calls() == 12);
    CHECK(c.text("note") == "a \"quoted\" line\n");
    CHECK(c.has("model"));
    CHECK_FALSE(c.has("mode"));
    CHECK_THROWS_WITH_AS(
        c.number("epoch"),
        "Checkpoint: there is no part 'epoch' that is one tensor; there are: best generator model note order step",
        CheckpointError);
    CHECK_THROWS_AS(c.number("order"), CheckpointError);
    CHECK_THROWS_AS(c.number("best"), CheckpointError);
    CHECK_THROWS_AS(c.real("step"), CheckpointError);
    CHECK_THROWS_AS(c.generator("note"), CheckpointError);
    CHECK_THROWS_AS(c.text("model"), CheckpointError);
    CHECK_THROWS_AS(Checkpoint(c).put("step", int64_t{1}), Error);
    CHECK_THROWS_AS(Checkpoint().put("a/b", int64_t{1}), Error);
  }

  TEST_CASE("choices of tuning are kept beside the parts, and hold again when it is loaded") {
    const test::TempFolder folder;
    load_tuned_choices("a card\ta question\tof this run\n");
    save_checkpoint(some_checkpoint(), folder / "c");
    load_tuned_choices("a card\ta question\tof another run\n");
    std::string whole = test::read_file(folder / "c");
    test::write_file(folder / "half", whole.substr(0, whole.size() - 1));
    CHECK_THROWS_AS(load_checkpoint(folder / "half"), CheckpointError);
    CHECK(tuned_answer("a card\ta question") == "of another run");
    CHECK(load_checkpoint(folder / "c").text("note") == "a \"quoted\" line\n");
    CHECK(tuned_answer("a card\ta question") == "of this run");
  }

  TEST_CASE("every bit of a checkpoint counts: any flip is found") {
    const test::TempFolder folder;
    save_checkpoint(some_checkpoint(), folder / "c");
    const std::string whole = test::read_file(folder / "c");
    for (size_t i = 0; i < whole.size() * 8; ++i) {
      std::string flipped = whole;
      flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ 1 << (i % 8));
      test::write_file(folder / "c", flipped);
      CAPTURE(i);
      CHECK_THROWS_AS(load_checkpoint(folder / "c"), CheckpointError);
    }
    for (size_t n = 0; n < whole.size(); ++n) {
      test::write_file(folder / "c", whole.substr(0, n));
      CHECK_THROWS_AS(load_checkpoint(folder / "c"), CheckpointError);
    }
    test::write_file(folder / "c", whole);
    CHECK_NOTHROW(load_checkpoint(folder / "c"));
  }

  TEST_CASE("files that are no checkpoints, or of another version") {
    const test::TempFolder folder;
    write_safetensors(folder / "weights", {{"a", zeros({1})}});
    CHECK_THROWS_WITH_AS(
        load_checkpoint(folder / "weights"),
        ("load: '" + (folder / "weights") + "' is a safetensors file, but no checkpoint of weft").c_str(),
        CheckpointError);
    write_safetensors(folder / "next", {}, {{"weft.format", "checkpoint 2"}});
    CHECK_THROWS_WITH_AS(
        load_checkpoint(folder / "next"),
        ("load: '" + (folder / "next") + "' is a 'checkpoint 2'; this version of weft reads 'checkpoint 1'").c_str(),
        CheckpointError);
  }

  TEST_CASE("a training that goes on elsewhere: the same bits as one that never stopped") {
    const test::TempFolder folder;
    std::vector<std::vector<double>> expected;
    {
      seed(6);
      Training whole({"cpu:0"});
      give_data(whole);
      whole.steps(7);
      expected = whole.bits();
    }
    {
      seed(6);
      Training first({"cpu:0", "cpu:1"});
      give_data(first);
      first.steps(3);
      save_checkpoint(first.checkpoint(), folder / "c");
    }
    CHECK(test::read_file(folder / "c").find("cpu") == std::string::npos);
    seed(99);
    Training second({"cpu:0", "cpu:1", "cpu:2", "cpu:3"});
    give_data(second);
    second.order.clear();
    second.resume(load_checkpoint(folder / "c"));
    CHECK(second.trainer.steps() == 3);
    second.steps(4);
    const auto found = second.bits();
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      CAPTURE(i);
      CHECK(found[i] == expected[i]);
    }
    Net other;
    CHECK_THROWS_AS(load_checkpoint(folder / "c").prepare("ema", other), CheckpointError);
  }
}
