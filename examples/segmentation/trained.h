// A trained net from a file, and what it sees in whole pictures: for evaluate and predict.
#pragma once

#include <weft/autograd/ops/reduce.h>
#include <weft/autograd/ops/softmax.h>
#include <weft/nn/checkpoint.h>
#include <weft/nn/data/augment.h>
#include <weft/nn/models/sliding_window.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "options.h"

namespace segmentation {

// What evaluate and predict have in common on their command lines.
struct UseOptions {
  std::string file, device;
  NetOptions net;  // of a file of weights alone
  bool multi_scale = false, no_flip = false;
  std::vector<double> scales = {0.5, 0.75, 1, 1.25, 1.5, 1.75};
  int64_t base = 0, crop = 0, stride = 0;  // 0: as trained, 520 and 480 for weights alone, and two thirds of the crop
};

inline void add_use(CLI::App& app, Settings& settings, UseOptions& options) {
  app.add_option("file", options.file, "checkpoint of train, or safetensors with weights alone")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--device", options.device, "such as cpu:0 or cuda:1; the first GPU, else the CPU, if left out");
  app.add_flag("--multi-scale", options.multi_scale, "sliding windows at several scales, each also mirrored");
  app.add_option("--scales", options.scales, "of --multi-scale, joined by commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  app.add_flag("--no-flip", options.no_flip, "no mirrored windows");
  app.add_option("--base-size", options.base, "long side at scale 1; 0: as in training")->check(CLI::Range(0, 8192));
  app.add_option("--crop-size", options.crop, "side of a window; 0: as in training")->check(CLI::Range(0, 8192));
  app.add_option("--stride", options.stride, "from window to window; 0: two thirds of the side")
      ->check(CLI::Range(0, 8192));
  add_net(settings, options.net);
}

struct Trained {
  std::unique_ptr<Net> net;
  int64_t classes = 0;
  std::string settings;            // of its training; empty for weights alone
  std::vector<std::string> names;  // of the classes; empty for weights alone
  Device device;
};

inline bool is_checkpoint(const std::string& path) {
  return !path.ends_with(".json") && nn::SafetensorsFile(path).metadata().count("weft.format") > 0;
}

// Every weight of the net must be in the file; what it has beyond that, such as an auxiliary head, is left out.
inline void take_weights(const Net& net, const nn::NamedTensors& tensors, const std::string& path) {
  nn::PendingLoad load(net, tensors, {.strict = false});
  const nn::LoadReport& report = load.report();
  if (!report.missing.empty() || !report.wrong_shape.empty())
    fail<CheckpointError>("'", path, "' does not fit the net: ", static_cast<int64_t>(report.missing.size()),
                          " weights are missing", report.missing.empty() ? "" : ", such as " + report.missing[0], ", ",
                          static_cast<int64_t>(report.wrong_shape.size()), " have another shape",
                          report.wrong_shape.empty() ? "" : ", such as " + report.wrong_shape[0],
                          "; say its --model, --backbone, --variant and --classes");
  load.commit();
}

// Completes `options` with what the checkpoint says.
inline Trained load_trained(UseOptions& options) {
  Trained trained;
  nn::NamedTensors tensors;
  if (is_checkpoint(options.file)) {
    const nn::Checkpoint checkpoint = nn::load_checkpoint(options.file);
    trained.settings = checkpoint.text("settings");
    std::istringstream names(checkpoint.text("classes"));
    for (std::string name; std::getline(names, name);) trained.names.push_back(name);
    tensors = checkpoint.tensors("model");
  } else {
    tensors = nn::read_tensors(options.file);
  }
  NetOptions net = net_in(trained.settings, options.net);
  if (net.classes <= 0) fail("'", options.file, "' holds weights alone; say the number of --classes");
  net.aux_weight = 0;  // which training alone needs
  trained.classes = net.classes;
  trained.net = std::make_unique<Net>(net);
  take_weights(*trained.net, tensors, options.file);
  trained.device = options.device.empty() ? available_devices().front() : Device(options.device);
  trained.net->to(trained.device);
  const auto complete = [&](int64_t& value, const char* name, int64_t otherwise) {
    const std::string text = setting_in(trained.settings, name);
    if (value == 0) value = text.empty() ? otherwise : std::stoll(text);
  };
  complete(options.base, "base-size", 520);
  complete(options.crop, "crop-size", 480);
  if (options.stride == 0) options.stride = std::max<int64_t>(options.crop * 2 / 3, 1);
  return trained;
}

// "3.4 images/s"
inline std::string speed(int64_t images, double seconds) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f images/s", static_cast<double>(images) / std::max(seconds, 1e-9));
  return text;
}

// The class of every pixel of a picture with values 0 … 255: [1, H, W], on the net's device. Single scale: the whole
// picture at once, as large as it is.
inline Tensor classes_of(const Trained& trained, const data::Sample& picture, const UseOptions& options) {
  const data::Sample normal = data::normalize(picture);
  const Tensor image = data::collate(std::span(&normal, 1)).image.to(trained.device);
  const auto net = [&](const Tensor& x) { return trained.net->forward(x)[0]; };
  if (!options.multi_scale) return argmax(net(image), 1);
  data::Sample black{"", 1, 1, 3, {0, 0, 0}, {}};  // which training pads with
  black = data::normalize(black);
  const std::vector<double> padding(black.image.begin(), black.image.end());
  const Tensor scores = models::sliding_window(net, image,
                                               {.base = options.base,
                                                .crop = options.crop,
                                                .stride = options.stride,
                                                .scales = options.scales,
                                                .flip = !options.no_flip,
                                                .padding = padding});
  return argmax(scores, 1);
}

}  // namespace segmentation
