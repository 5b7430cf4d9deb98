// Evaluates a trained segmentation net on whole pictures: pixel accuracy, and intersection over union of every class.
//
//   evaluate runs/shapes/best.safetensors --dataset FOLDER --multi-scale
#include <weft/nn/metrics.h>

#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdio>

#include "../progress.h"
#include "dataset.h"
#include "trained.h"

using namespace segmentation;

namespace {

struct Options {
  UseOptions use;
  std::string dataset, split = "val", absent = "excluded";
  int64_t generated = 0;
};

// The data set that is asked for, else the one of the training.
Dataset open_dataset(const Options& options, const Trained& trained) {
  const auto number = [&](const char* name, int64_t otherwise) {
    const std::string text = setting_in(trained.settings, name);
    return text.empty() ? otherwise : std::stoll(text);
  };
  DatasetOptions data;
  data.folder = options.dataset.empty() ? setting_in(trained.settings, "dataset") : options.dataset;
  data.classes = trained.classes;
  data.generated = options.generated > 0 ? options.generated * 4 : number("generated", 256);
  data.side = number("base-size", options.use.base);
  data.seed = static_cast<uint64_t>(number("seed", 1));
  return Dataset(data, options.split);
}

void print(const nn::SegmentationMetric& metric, const std::vector<std::string>& names) {
  const std::vector<double> iou = metric.iou();
  for (size_t c = 0; c < iou.size(); ++c) {
    if (std::isnan(iou[c]))
      std::printf("%-20s  absent\n", names[c].c_str());
    else
      std::printf("%-20s  IoU %.4f\n", names[c].c_str(), iou[c]);
  }
  std::printf("pixAcc %.4f  mIoU %.4f\n", metric.pixel_accuracy(), metric.mean_iou());
}

int run(Options& options) {
  const Trained trained = load_trained(options.use);
  const Dataset dataset = open_dataset(options, trained);
  if (dataset.classes().size() > static_cast<size_t>(trained.classes))
    fail("evaluate: the data set has ", static_cast<int64_t>(dataset.classes().size()), " classes, the net ",
         trained.classes, "; they must agree");
  const std::string how = options.use.multi_scale ? ", sliding windows" : ", whole pictures";
  std::printf("%s on %s: %s%s\n", trained.net->describe().c_str(), to_string(trained.device).c_str(),
              dataset.describe().c_str(), how.c_str());
  nn::SegmentationMetric metric(
      trained.classes,
      {.ignore_label = 255, .absent = options.absent == "zero" ? nn::AbsentClass::zero : nn::AbsentClass::excluded});
  const auto count = static_cast<int64_t>(dataset.size());
  Progress progress(count, std::max<int64_t>(1, count / 10));
  for (int64_t i = 0; i < count; ++i) {
    const data::Sample sample = dataset.sample(static_cast<size_t>(i));
    const Tensor labels = tensor(sample.labels, {1, sample.height, sample.width}, trained.device);
    metric.update(classes_of(trained, sample, options.use), labels);
    progress.show(i + 1, sample.name + "  " + speed(i + 1, progress.seconds()));
  }
  std::vector<std::string> names = dataset.classes();
  for (int64_t c = static_cast<int64_t>(names.size()); c < trained.classes; ++c)
    names.push_back("class " + std::to_string(c));
  print(metric, names);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Evaluates a trained segmentation net: pixAcc and mIoU; pixels labelled 255 do not count.");
  Settings settings(app);
  add_use(app, settings, options.use);
  app.add_option("--dataset", options.dataset, "folder in VOC's layout, or with images/ and masks/; the training's");
  app.add_option("--split", options.split, "of the data set")->capture_default_str();
  app.add_option("--absent", options.absent, "classes that neither truth nor prediction has, in the mean")
      ->check(CLI::IsMember({"excluded", "zero"}))
      ->capture_default_str();
  app.add_option("--generated", options.generated, "number of generated pictures; 0: as in training")
      ->check(CLI::Range(0, 1'000'000));
  return run_program(app, argc, argv, [&] { return run(options); });
}
