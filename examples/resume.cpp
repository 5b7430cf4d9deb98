// Trains, saves, and goes on from the file: the weights are those of a training that never stopped.
#include <weft/weft.h>

#include <cstdio>

using namespace weft;

struct Training {
  nn::Linear net{4, 1};
  parallel::Trainer trainer{net.parameters(), nn::optim::Adam({.lr = 0.1})};
  nn::optim::Schedule schedule = nn::optim::warm_up(5, nn::optim::poly(0.1, {.steps = 20}));

  void run(int64_t until) {
    while (trainer.steps() < until) {
      trainer.set_learning_rate(schedule(trainer.steps()));
      const Tensor x = randn({16, 4});
      Tensor loss;
      {
        autograd::Record record;
        loss = mean(square(net(dropout(x, 0.1)) - sum(x, {.axes = {1}, .keep = true})));
      }
      loss.backward();
      trainer.step();
    }
  }
  void save(const char* path) const {
    nn::Checkpoint checkpoint;
    checkpoint.put("model", net).put("trainer", trainer.state()).put("generator", default_generator());
    nn::save_checkpoint(checkpoint, path);  // the path holds a whole old or a whole new file, whatever happens
  }
  void resume(const char* path) {
    const nn::Checkpoint checkpoint = nn::load_checkpoint(path);
    nn::PendingLoad weights = checkpoint.prepare("model", net);  // what does not fit throws here or in the next line,
    trainer.load_state(checkpoint.tensors("trainer"));           // before anything has changed
    weights.commit();
    default_generator() = checkpoint.generator("generator");
  }
};

int main() {
  Training whole, resumed;  // with start values of their own
  whole.run(10);
  whole.save("resume.safetensors");
  whole.run(20);
  resumed.resume("resume.safetensors");
  std::printf("resumed at step %lld", static_cast<long long>(resumed.trainer.steps()));
  resumed.run(20);
  const auto bits = [](const Training& t) { return t.net.weight.at(0).to_vector<float>(); };
  std::printf("; the same weights at step 20: %s\n", bits(whole) == bits(resumed) ? "yes" : "no");
  return std::remove("resume.safetensors");
}
