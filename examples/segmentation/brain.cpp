// Find the brain: trains a U-Net on coronal slices of one person's head and tests it on another person's.
//
//   brain [classes=2] [epochs=12] [seed=1] [batch=8] [devices=cpu:0,cpu:1] [out=build/demo] [generated=1]
//
// One training head, one test head: the score says that the net carries over to a head it has not seen, no more.
// With classes=5 it tells regions apart within the first head, in slabs of it that were kept from the training.
#include <weft/autograd/ops/reduce.h>
#include <weft/nn/data/loader.h>
#include <weft/nn/loss.h>
#include <weft/nn/metrics.h>
#include <weft/nn/models/u_net.h>
#include <weft/nn/optim/schedule.h>
#include <weft/parallel/backward.h>
#include <weft/parallel/data_parallel.h>
#include <weft/parallel/trainer.h>

#include <charconv>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "../progress.h"
#include "heads.h"
#include "pictures.h"
#include "regions.h"

using namespace weft;

namespace {

struct Options {
  int64_t epochs = 0, batch = 8, classes = 2;
  uint64_t seed = 1;
  std::vector<Device> devices;
  std::string out = "build/demo";
  bool generated = false;
};

uint64_t number(const std::string& word, const std::string& digits) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value > 1'000'000'000)
    fail("brain: '", word, "' is no whole number below a billion");
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals), value = word.substr(std::min(equals + 1, word.size()));
    if (name == "epochs") {
      options.epochs = static_cast<int64_t>(std::max<uint64_t>(1, number(word, value)));
    } else if (name == "classes") {
      options.classes = static_cast<int64_t>(number(word, value));
      if (options.classes != 2 && options.classes != 5)
        fail("brain: '", word, "', but there are classes=2 and classes=5");
    } else if (name == "batch") {
      options.batch = static_cast<int64_t>(number(word, value));
    } else if (name == "seed") {
      options.seed = number(word, value);
    } else if (name == "devices") {
      for (size_t at = 0; at < value.size(); at = std::min(value.find(',', at), value.size() - 1) + 1)
        options.devices.emplace_back(value.substr(at, value.find(',', at) - at));
    } else if (name == "out") {
      options.out = value;
    } else if (name == "generated") {
      options.generated = value == "1";
    } else {
      fail("brain: no option '", word, "'; there are classes=, epochs=, batch=, seed=, devices=, out= and generated=");
    }
  }
  if (options.epochs == 0) options.epochs = options.classes == 2 ? 12 : 25;
  if (options.devices.empty()) {
    options.devices = available_devices();
    if (options.devices.front().is_cpu()) options.devices = {Device("cpu:0"), Device("cpu:1")};
  }
  return options;
}

heads::Parts load(bool generated) {
  if (!generated && !heads::installed()) {
    std::printf(
        "The heads are not installed: training on generated ones instead. For real ones, install the Debian packages\n"
        "mricron-data and insighttoolkit5-examples (17 MB) and run this again.\n");
    generated = true;
  }
  if (generated) return {heads::slices_of(heads::generate_head(1)), heads::slices_of(heads::generate_head(2))};
  return {heads::slices_of(heads::read_head(heads::training_files, [](float v) { return v > 0; })),
          heads::slices_of(heads::read_head(heads::test_files, [](float v) { return v == 6; }))};
}

data::Sample augment(const data::Sample& slice, data::SampleRandom& random) {
  data::Sample sample = data::random_affine(random.chance(0.5) ? data::mirror(slice) : slice, {}, random);
  return data::random_noise(data::random_gamma(std::move(sample), 0.3, random), 0.06, random);
}

// Trains in place; returns the seconds it took.
double train(const parallel::DataParallelModel<models::UNet>& model, const std::vector<data::Sample>& slices,
             const nn::CrossEntropyLossOptions& loss_options, const Options& options) {
  data::Loader loader(slices.size(), [&](size_t i, data::SampleRandom& random) { return augment(slices[i], random); },
                      {.batch = options.batch, .seed = options.seed});
  parallel::DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(loss_options), options.devices);
  parallel::Trainer trainer(model.module().parameters(), nn::optim::AdamW({.lr = 3e-3, .weight_decay = 0.01}));
  const int64_t steps = options.epochs * loader.batches(0);
  const nn::optim::Schedule schedule = nn::optim::poly(3e-3, {.steps = steps, .power = 0.9});
  Progress progress(steps, loader.batches(0));
  double mean = 0;  // of the loss, over about the last 20 steps
  for (int64_t epoch = 0; epoch < options.epochs; ++epoch)
    while (const auto batch = loader.next()) {
      const int64_t done = trainer.steps();
      trainer.set_learning_rate(schedule(done));
      PerDevice<Tensor> losses;
      {
        const autograd::Record record;
        losses = criterion(model(batch->image), batch->labels);
      }
      parallel::parallel_backward(losses);
      trainer.step();
      const double loss = parallel::total(losses);
      mean += (loss - mean) / std::min(20.0, static_cast<double>(done + 1));
      progress.show(done + 1, "epoch " + std::to_string(epoch + 1) + "  loss " + std::to_string(mean).substr(0, 6));
    }
  return progress.seconds();
}

// One class number a pixel of every slice; counts them in `metric`.
std::vector<std::vector<uint8_t>> predict(const parallel::DataParallelModel<models::UNet>& model,
                                          const std::vector<data::Sample>& slices, nn::SegmentationMetric& metric) {
  std::vector<std::vector<uint8_t>> predictions;
  for (size_t at = 0; at < slices.size(); at += 16) {
    const size_t count = std::min<size_t>(16, slices.size() - at);
    const data::Batch batch = data::collate(std::span(slices).subspan(at, count));
    const Tensor classes = argmax(parallel::gather(model(batch.image), "cpu"), 1);  // [count, H, W]
    metric.update(classes, batch.labels);
    for (size_t i = 0; i < count; ++i) predictions.push_back(classes[static_cast<int64_t>(i)].to_vector<uint8_t>());
  }
  return predictions;
}

void print_score(const char* what, const nn::SegmentationMetric& metric) {
  const double iou = metric.iou()[1], dice = 2 * iou / (1 + iou);
  std::printf("%s: Dice %.3f  pixAcc %.3f  mIoU %.3f", what, dice, metric.pixel_accuracy(), metric.mean_iou());
}

// Blends a colour into a grey value.
void tint(uint8_t* pixel, float grey, const data::Color& color, double part) {
  for (size_t c = 0; c < 3; ++c)
    pixel[c] = static_cast<uint8_t>((1 - part) * std::clamp(grey * 200.0, 0.0, 255.0) + part * color[c]);
}

// `count` slices spread over the head, `columns` in a row, each as image | truth | prediction. In the prediction green
// is right, red too much, blue missed.
void draw(const std::string& path, const std::vector<data::Sample>& slices,
          const std::vector<std::vector<uint8_t>>& predictions, int64_t count, int64_t columns) {
  constexpr data::Color green{40, 200, 80}, red{230, 40, 40}, blue{60, 110, 255};
  constexpr int64_t side = heads::side;
  data::Image picture{count / columns * side, columns * 3 * side, 3, {}};
  picture.pixels.resize(static_cast<size_t>(picture.height * picture.width * 3));
  for (int64_t i = 0; i < count; ++i) {
    const size_t chosen = slices.size() * static_cast<size_t>(2 * i + 1) / static_cast<size_t>(2 * count);
    const data::Sample& slice = slices[chosen];
    for (int64_t p = 0; p < side * side; ++p) {
      const auto k = static_cast<size_t>(p);
      const bool truth = slice.labels[k] == 1, seen = predictions[chosen][k] == 1;
      const int64_t y = i / columns * side + p / side, x = i % columns * 3 * side + p % side;
      uint8_t* pixel = &picture.pixels[static_cast<size_t>((y * picture.width + x) * 3)];
      tint(pixel, slice.image[k], green, 0);
      tint(pixel + 3 * side, slice.image[k], green, truth ? 0.45 : 0);
      tint(pixel + 6 * side, slice.image[k], truth && seen ? green : seen ? red : blue, truth || seen ? 0.45 : 0);
    }
  }
  data::write_png(path, picture);
  std::printf("%s  (image | truth | prediction: green right, red too much, blue missed)\n", path.c_str());
}

void print_time(double seconds, double processor, const Options& options) {
  std::printf("  (%.0f s on", seconds);
  for (const Device device : options.devices) std::printf(" %s", to_string(device).c_str());
  std::printf(", %.0f s of processor time)\n", processor);
}

double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void run(const Options& options) {
  const heads::Parts slices = load(options.generated);
  seed(options.seed);
  models::UNet net;
  const parallel::DataParallelModel model(net, options.devices);
  std::printf("U-Net with %lld parameters, %zu slices of one head to train on, %zu of another to test on\n",
              static_cast<long long>(net.parameter_count()), slices.training.size(), slices.test.size());
  const double before = processor_seconds();
  const double seconds = train(model, slices.training, {.ignore_label = 255}, options);
  const double processor = processor_seconds() - before;

  nn::SegmentationMetric mine(2), result(2);
  const auto own = predict(model, slices.training, mine), other = predict(model, slices.test, result);
  std::filesystem::create_directories(options.out);
  draw(options.out + "/training_head.png", slices.training, own, 4, 2);
  draw(options.out + "/other_head.png", slices.test, other, 4, 2);
  print_score("training head", mine);
  std::printf("\n");
  print_score("other head", result);
  print_time(seconds, processor, options);
}

// A grey picture of a slice, every pixel `zoom` times as wide and high; so its labels.
segmentation::Example enlarged(const data::Sample& slice, const std::vector<uint8_t>& prediction, int64_t zoom) {
  const int64_t side = heads::side * zoom;
  segmentation::Example example{{side, side, 3, {}}, {}, {}};
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x) {
      const auto at = static_cast<size_t>(y / zoom * heads::side + x / zoom);
      const auto grey = static_cast<uint8_t>(std::clamp(slice.image[at] * 200.0f, 0.0f, 255.0f));
      example.image.pixels.insert(example.image.pixels.end(), {grey, grey, grey});
      example.truth.push_back(slice.labels[at]), example.prediction.push_back(prediction[at]);
    }
  return example;
}

void run_regions(const Options& options) {
  if (options.generated || !heads::installed())
    fail(
        "brain: classes=5 takes the head of the Debian package mricron-data; install it, and ask for no generated one");
  const heads::Parts slices = heads::region_slices();
  seed(options.seed);
  // Twice as wide as for two classes: with eight features at the end, all of them were 0 in the small regions of the
  // training slices after 12 epochs, where no gradient passes then.
  models::UNet net({.classes = options.classes, .widths = {16, 32, 64, 128}});
  const parallel::DataParallelModel model(net, options.devices);
  std::printf("U-Net with %lld parameters, %zu slices of a head to train on, %zu of other slabs of it to test on\n",
              static_cast<long long>(net.parameter_count()), slices.training.size(), slices.test.size());
  const double before = processor_seconds();
  const std::vector<float> weights = heads::class_weights(slices.training, heads::region_names.size());
  const double seconds = train(model, slices.training,
                               {.ignore_label = 255, .weights = tensor(weights, {options.classes}, "cpu")}, options);
  const double processor = processor_seconds() - before;

  nn::SegmentationMetric result(options.classes);
  const auto predictions = predict(model, slices.test, result);
  std::vector<segmentation::Example> examples;
  for (const size_t part : {2, 4, 5, 7}) {
    const size_t chosen = slices.test.size() * part / 10;
    examples.push_back(enlarged(slices.test[chosen], predictions[chosen], 2));
  }
  std::filesystem::create_directories(options.out);
  const std::string path = options.out + "/regions.png";
  data::write_png(path, segmentation::side_by_side(examples, heads::region_names, heads::region_colors));
  std::printf("%s  (image | truth | prediction)\nDice in the other slabs:", path.c_str());
  for (size_t c = 1; c < heads::region_names.size(); ++c)
    std::printf("  %s %.3f", heads::region_names[c].c_str(), 2 * result.iou()[c] / (1 + result.iou()[c]));
  print_time(seconds, processor, options);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    options.classes == 5 ? run_regions(options) : run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
