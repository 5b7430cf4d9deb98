// The command line of train, and what follows from it: data set, optimizer, schedule.
#pragma once

#include <weft/autograd/autocast.h>
#include <weft/nn/data/augment.h>
#include <weft/nn/optim/optimizer.h>
#include <weft/nn/optim/schedule.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "dataset.h"
#include "options.h"

namespace segmentation {

struct TrainOptions {
  NetOptions net;
  std::string dataset, optimizer = "sgd", schedule = "poly", dtype = "f32";
  int64_t generated = 256, base = 520, crop = 480, epochs = 30, batch = 8, warm_up = 0, step_epochs = 10;
  double lr = 1e-3, weight_decay = 1e-4, head_lr_mult = 10;
  bool no_wd = false;
  int timed_plans = 1;
  uint64_t seed = 1;
  // What no checkpoint keeps.
  std::vector<std::string> device_names;
  std::string resume, save;
  int64_t log_interval = 10;
  int workers = 2;
  std::vector<Device> devices;  // those named, or what there is
};

// "constant:5,cosine": names, with the epochs that each lasts; 0 where none are given, -1 where they are no number.
struct PhaseName {
  std::string name;
  int64_t epochs = 0;
};
inline std::vector<PhaseName> phases_of(const std::string& text) {
  std::vector<PhaseName> phases;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t colon = std::min(part.find(':'), part.size());
    PhaseName& phase = phases.emplace_back(PhaseName{part.substr(0, colon)});
    if (colon == part.size()) continue;
    const char* const end = part.data() + part.size();
    if (std::from_chars(part.data() + colon + 1, end, phase.epochs).ptr != end) phase.epochs = -1;
  }
  return phases;
}
// What is wrong with it; empty if nothing is.
inline std::string phases_error(const std::string& text) {
  const std::vector<PhaseName> phases = phases_of(text);
  if (phases.empty()) return "no schedule is named";
  for (const PhaseName& phase : phases) {
    if (std::set<std::string>{"poly", "constant", "linear", "step", "cosine"}.count(phase.name) == 0)
      return "no schedule '" + phase.name + "'; there are poly, constant, linear, step and cosine";
    const bool last = &phase == &phases.back();
    if (phase.epochs < 0 || last != (phase.epochs == 0))
      return last ? "the last schedule goes on to the end; leave its epochs out"
                  : "'" + phase.name + "' needs its epochs, as in constant:5,cosine";
  }
  return "";
}

inline void add_train(CLI::App& app, Settings& settings, TrainOptions& options) {
  add_net(settings, options.net);
  const CLI::Range positive(int64_t{1}, int64_t{1'000'000'000});
  settings.add("dataset", options.dataset, "folder in VOC's layout, or with images/ and masks/; else shapes", true);
  settings.add("generated", options.generated, "number of generated pictures, where no folder is given")
      ->check(positive);
  settings.add("base-size", options.base, "the long side is scaled to half of it … twice that")->check(positive);
  settings.add("crop-size", options.crop, "side of what the net sees")->check(positive);
  settings.add("aux-weight", options.net.aux_weight, "of the auxiliary head's loss; 0: no such head")
      ->check(CLI::NonNegativeNumber);
  settings.add("sync-bn", options.net.sync_bn, "batch norm over the batch of all devices");
  settings.add("epochs", options.epochs, "of the whole training", true)->check(positive);
  settings.add("batch", options.batch, "pictures a step, on all devices together")->check(positive);
  settings.add("optimizer", options.optimizer, "sgd has momentum 0.9")->check(CLI::IsMember({"sgd", "adam", "adamw"}));
  settings.add("lr", options.lr, "learning rate, of the backbone where there is one")->check(CLI::NonNegativeNumber);
  settings.add("head-lr-mult", options.head_lr_mult, "factor on it for the heads on a backbone")
      ->check(CLI::NonNegativeNumber);
  settings
      .add("schedule", options.schedule,
           "of the learning rate: poly (power 0.9), constant, linear, step or cosine; or a sequence such as "
           "constant:5,cosine, with the epochs of each but the last")
      ->check([](const std::string& text) { return phases_error(text); });
  settings.add("warm-up", options.warm_up, "steps in which it rises from 0 first")->check(CLI::NonNegativeNumber);
  settings.add("step-epochs", options.step_epochs, "schedule step: a tenth after so many epochs")->check(positive);
  settings.add("weight-decay", options.weight_decay, "of all parameters")->check(CLI::NonNegativeNumber);
  settings.add("no-wd", options.no_wd, "no decay of gamma, beta and bias");
  settings.add("dtype", options.dtype, "of convolutions and products; f16 scales the loss. Weights are f32")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}));
  settings
      .add("timed-plans", options.timed_plans,
           "plans of cuDNN that each convolution times at first, to keep the fastest; 1: none")
      ->check(CLI::Range(1, 64));
  settings.add("seed", options.seed, "of weights, order, augmentation and dropout");
  app.add_option("--devices", options.device_names, "cpu:0,cpu:1 or cuda:0,…; all GPUs if left out")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--resume", options.resume, "checkpoint, or folder of a training; its options hold again")
      ->check(CLI::ExistingPath);
  app.add_option("--save", options.save, "folder of checkpoints, logs, pictures; runs/MODEL, or the resumed one's");
  app.add_option("--log-interval", options.log_interval, "steps from line to line of the log")
      ->check(positive)
      ->capture_default_str();
  app.add_option("--workers", options.workers, "threads that make batches")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
}

inline DatasetOptions dataset_options(const TrainOptions& options) {
  return {.folder = options.dataset,
          .classes = options.net.classes,
          .generated = options.generated,
          .side = options.base,
          .seed = options.seed};
}

inline std::unique_ptr<nn::optim::Optimizer> make_optimizer(const TrainOptions& options) {
  if (options.optimizer == "sgd")
    return std::make_unique<nn::optim::SGD>(
        nn::optim::SGDOptions{.lr = options.lr, .momentum = 0.9, .weight_decay = options.weight_decay});
  if (options.optimizer == "adam")
    return std::make_unique<nn::optim::Adam>(
        nn::optim::AdamOptions{.lr = options.lr, .weight_decay = options.weight_decay});
  return std::make_unique<nn::optim::AdamW>(
      nn::optim::AdamWOptions{.lr = options.lr, .weight_decay = options.weight_decay});
}

inline autograd::Autocast autocast_of(const TrainOptions& options) {
  return autograd::Autocast(options.dtype == "f16" ? DType::f16 : DType::bf16, {.enabled = options.dtype != "f32"});
}

inline nn::optim::Schedule make_schedule(const TrainOptions& options, int64_t steps_an_epoch) {
  using namespace nn::optim;
  const auto by_name = [&](const std::string& name, int64_t steps) {
    if (name == "poly") return poly(options.lr, {.steps = steps, .power = 0.9});
    if (name == "linear") return linear(options.lr, {.steps = steps});
    if (name == "cosine") return cosine(options.lr, {.steps = steps});
    if (name == "step") return step(options.lr, options.step_epochs * steps_an_epoch);
    return constant(options.lr);
  };
  int64_t left = options.epochs * steps_an_epoch - options.warm_up;
  std::vector<Phase> phases;
  for (const PhaseName& phase : phases_of(options.schedule)) {
    const int64_t steps = phase.epochs > 0 ? phase.epochs * steps_an_epoch : std::max<int64_t>(left, 1);
    phases.push_back({steps, by_name(phase.name, steps)});
    left -= steps;
  }
  const Schedule last = phases.back().schedule;
  phases.pop_back();
  const Schedule schedule = phases.empty() ? last : sequence(phases, last);
  return options.warm_up > 0 ? warm_up(options.warm_up, schedule) : schedule;
}

// What normalize() was made from: [3, H, W] -> a picture.
inline data::Image denormalized(const std::vector<float>& values, int64_t height, int64_t width) {
  const auto area = static_cast<size_t>(height * width);
  const data::Sample black = data::normalize({"", 1, 1, 3, {0, 0, 0}, {}});
  const data::Sample white = data::normalize({"", 1, 1, 3, {255, 255, 255}, {}});
  data::Image image{height, width, 3, std::vector<uint8_t>(3 * area)};
  for (size_t i = 0; i < area; ++i)
    for (size_t c = 0; c < 3; ++c) {
      const float part = (values[c * area + i] - black.image[c]) / (white.image[c] - black.image[c]);
      image.pixels[3 * i + c] = static_cast<uint8_t>(std::clamp(part * 255 + 0.5f, 0.0f, 255.0f));
    }
  return image;
}

inline Tensor text_to_bytes(const std::string& text) {
  return tensor(std::vector<uint8_t>(text.begin(), text.end()), {static_cast<int64_t>(text.size())}, "cpu");
}
inline std::string bytes_to_text(const Tensor& bytes) {
  const auto values = bytes.to_vector<uint8_t>();
  return {values.begin(), values.end()};
}

}  // namespace segmentation
