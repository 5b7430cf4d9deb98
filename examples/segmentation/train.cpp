// Trains a segmentation net on several devices. Ctrl-C finishes the step and saves; --resume goes on from there, bit by
// bit as if nothing had happened.
//
//   train --model unet --crop-size 64 --base-size 64 --epochs 5 --save runs/shapes
#include <weft/autograd/ops/reduce.h>
#include <weft/nn/checkpoint.h>
#include <weft/nn/data/loader.h>
#include <weft/nn/metrics.h>
#include <weft/nn/optim/grad_scaler.h>
#include <weft/nn/optim/schedule.h>
#include <weft/parallel/backward.h>
#include <weft/parallel/data_parallel.h>
#include <weft/parallel/trainer.h>
#include <weft/tensor/tuning.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <optional>

#include "../progress.h"
#include "dataset.h"
#include "log.h"
#include "pictures.h"
#include "train_options.h"

using namespace segmentation;
namespace fs = std::filesystem;

namespace {

constexpr int interrupted_code = 130;
constexpr size_t shown = 4;  // sample pictures an epoch

volatile std::sig_atomic_t interrupted = 0;
void on_interrupt(int) {
  interrupted = 1;
  std::signal(SIGINT, SIG_DFL);  // a second Ctrl-C does not wait
}

class Training {
 public:
  // `checkpoint`: of the training that goes on here.
  Training(const TrainOptions& options, const std::optional<nn::Checkpoint>& checkpoint)
      : options_(options),
        training_(dataset_options(options), "train"),
        validation_(dataset_options(options), "val"),
        net_(net_options()),
        model_(net_, options.devices),
        criterion_(Loss(options.net.aux_weight), options.devices),
        trainer_(groups_of(net_, options.head_lr_mult, options.no_wd), make_optimizer(options)),
        scaler_({.enabled = options.dtype == "f16"}),
        loader_(training_.size(), make_sample(true),
                {.batch = options.batch,
                 .seed = options.seed,
                 .workers = options.workers,
                 .last = options.batch <= static_cast<int64_t>(training_.size()) ? data::LastBatch::discard
                                                                                 : data::LastBatch::keep}),
        schedule_(make_schedule(options, loader_.batches(0))) {
    options_.net.classes = static_cast<int64_t>(training_.classes().size());
    if (checkpoint) restore(*checkpoint);
    fs::create_directories(options.save + "/pictures");
    log_.emplace(options.save, checkpoint ? bytes_to_text(checkpoint->tensor("log")) : "");
  }

  // The program's code. `settings`: what the checkpoints keep of the command line.
  int run(const std::string& settings) {
    settings_ = settings;
    progress_.emplace(options_.epochs * loader_.batches(0), options_.log_interval, trainer_.steps());
    introduce();
    for (int64_t epoch = loader_.position().epoch; epoch < options_.epochs; ++epoch) {
      loader_position_ = loader_.position();
      if (!train_epoch(epoch)) return stop();
      const auto before_end = loader_position_;
      loader_position_ = loader_.position();
      if (!finish_epoch(epoch)) {  // goes back to the end of the last step: validation comes first on resuming
        loader_position_ = before_end;
        return stop();
      }
    }
    say("done: best mIoU " + std::to_string(best_) + ", '" + options_.save + "/best.safetensors'");
    return 0;
  }

  const NetOptions& net() const { return options_.net; }

 private:
  NetOptions net_options() const {
    NetOptions net = options_.net;
    net.classes = static_cast<int64_t>(training_.classes().size());
    return net;
  }
  data::Loader::Make make_sample(bool training) const {
    const data::SegmentationOptions sizes{.base = options_.base, .crop = options_.crop};
    if (training)
      return [this, sizes](size_t i, data::SampleRandom& random) {
        return data::augment_for_training(training_.sample(i), sizes, random);
      };
    return [this, sizes](size_t i, data::SampleRandom&) {
      return data::prepare_for_validation(validation_.sample(i), sizes);
    };
  }
  void say(const std::string& line) {
    progress_->say(line);
    log_->say(line);
  }
  void introduce() {
    std::string devices;
    for (const Device device : options_.devices) devices += " " + to_string(device);
    say(net_.describe() + ", " + std::to_string(net_.parameter_count()) + " parameters, on" + devices);
    say("training: " + training_.describe() + "; validation: " + validation_.describe());
    if (!training_.is_split()) say("the scores are those of pictures that are trained on: there is no other split");
    if (trainer_.steps() > 0) say("resumed at step " + std::to_string(trainer_.steps()));
  }

  double train_step(const data::Batch& batch) {
    trainer_.set_learning_rate(schedule_(trainer_.steps()));
    PerDevice<Tensor> losses;
    {
      const autograd::Record record;
      const autograd::Autocast autocast = autocast_of(options_);
      losses = criterion_(model_(batch.image), batch.labels);
    }
    parallel::parallel_backward(scaler_.scale(losses));
    trainer_.step(1, scaler_);
    scaler_.update();
    return parallel::total(losses);
  }

  // False: interrupted.
  bool train_epoch(int64_t epoch) {
    double sum = 0, since = progress_->seconds();
    int64_t count = 0, images = 0;
    while (const auto batch = loader_.next()) {
      const double loss = train_step(*batch);
      loader_position_ = loader_.position();
      const int64_t step = trainer_.steps();
      sum += loss, ++count, images += batch->image.size(0);
      const double speed = static_cast<double>(images) / std::max(progress_->seconds() - since, 1e-9);
      char text[96];
      std::snprintf(text, sizeof text, "epoch %lld  loss %.4f  %.1f images/s", static_cast<long long>(epoch) + 1,
                    sum / static_cast<double>(count), speed);
      progress_->show(step, text);
      if (step % options_.log_interval == 0 || step % loader_.batches(0) == 0) {
        log_->loss(step, epoch + 1, trainer_.learning_rate(), sum / static_cast<double>(count), speed);
        sum = 0, count = images = 0, since = progress_->seconds();
      }
      if (interrupted) return false;
    }
    return true;
  }

  // Classes [N, H, W] of a batch, on the host.
  Tensor classes_of(const Tensor& image) const {
    const autograd::Autocast autocast = autocast_of(options_);
    const PerDevice<Tensors> outputs = model_(image);
    std::vector<Tensor> logits;
    for (const Tensors& output : outputs) logits.push_back(output[0]);
    return argmax(parallel::gather(PerDevice<Tensor>(outputs.devices(), logits), "cpu"), 1);
  }

  static void show(std::vector<Example>& examples, const data::Batch& batch, const Tensor& classes) {
    const int64_t height = batch.image.size(2), width = batch.image.size(3);
    for (int64_t i = 0; i < batch.image.size(0) && examples.size() < shown; ++i)
      examples.push_back({denormalized(batch.image[i].to_vector<float>(), height, width),
                          batch.labels[i].to_vector<uint8_t>(), classes[i].to_vector<uint8_t>()});
  }

  // Validation, pictures, and the checkpoint of an epoch. False: interrupted before anything was written.
  bool finish_epoch(int64_t epoch) {
    nn::SegmentationMetric metric(options_.net.classes, {.ignore_label = 255});
    data::Loader loader(validation_.size(), make_sample(false),
                        {.batch = options_.batch, .shuffle = false, .workers = options_.workers});
    std::vector<Example> examples;
    while (const auto batch = loader.next()) {
      const Tensor classes = classes_of(batch->image);
      metric.update(classes, batch->labels);
      show(examples, *batch, classes);
      if (interrupted) return false;
    }
    char text[128];
    std::snprintf(text, sizeof text, "epoch %lld: pixAcc %.4f  mIoU %.4f", static_cast<long long>(epoch) + 1,
                  metric.pixel_accuracy(), metric.mean_iou());
    say(text);
    log_->score(trainer_.steps(), epoch + 1, metric.pixel_accuracy(), metric.mean_iou());
    log_->draw();
    std::snprintf(text, sizeof text, "/pictures/epoch_%03lld.png", static_cast<long long>(epoch) + 1);
    data::write_png(options_.save + text, side_by_side(examples, training_.classes()));
    const bool better = metric.mean_iou() > best_;
    best_ = std::max(best_, metric.mean_iou());
    if (better) save("best");
    save("last");
    return true;
  }

  int stop() {
    log_->draw();
    save("last");
    say("stopped after step " + std::to_string(trainer_.steps()) + "; go on with --resume " + options_.save);
    return interrupted_code;
  }

  void save(const std::string& name) const {
    nn::Checkpoint checkpoint;
    checkpoint.put("model", net_).put("trainer", trainer_.state()).put("generator", default_generator());
    if (scaler_.enabled()) checkpoint.put("scaler", scaler_.state());
    checkpoint.put("epoch", loader_position_.epoch).put("batch", loader_position_.batch);
    checkpoint.put("samples", static_cast<int64_t>(training_.size()));
    checkpoint.put("best", best_).put("log", text_to_bytes(log_->table()));
    std::string names;
    for (const std::string& label : training_.classes()) names += label + "\n";
    checkpoint.put_text("settings", settings_).put_text("classes", names);
    nn::save_checkpoint(checkpoint, options_.save + "/" + name + ".safetensors");
  }

  void restore(const nn::Checkpoint& checkpoint) {
    const int64_t samples = checkpoint.number("samples");
    if (samples != static_cast<int64_t>(training_.size()))
      fail("train: the checkpoint's training has ", samples, " pictures, the data set ",
           static_cast<int64_t>(training_.size()), "; give the same data set");
    nn::PendingLoad weights = checkpoint.prepare("model", net_);
    if (scaler_.enabled()) scaler_.load_state(checkpoint.tensors("scaler"));
    trainer_.load_state(checkpoint.tensors("trainer"));
    weights.commit();
    default_generator() = checkpoint.generator("generator");
    best_ = checkpoint.real("best");
    loader_.seek({checkpoint.number("epoch"), checkpoint.number("batch")});
  }

  TrainOptions options_;
  Dataset training_, validation_;
  Net net_;
  parallel::DataParallelModel<Net> model_;
  parallel::DataParallelCriterion<Loss> criterion_;
  parallel::Trainer trainer_;
  nn::optim::GradScaler scaler_;
  data::Loader loader_;
  nn::optim::Schedule schedule_;
  data::Loader::Position loader_position_;
  std::optional<Log> log_;
  std::optional<Progress> progress_;
  std::string settings_;
  double best_ = -1;
};

int run(TrainOptions& options, Settings& settings) {
  std::optional<nn::Checkpoint> checkpoint;
  if (!options.resume.empty()) {
    const fs::path path = options.resume;
    const fs::path file = fs::is_directory(path) ? path / "last.safetensors" : path;
    checkpoint = nn::load_checkpoint(file.string());
    settings.restore(checkpoint->text("settings"));
    if (options.save.empty()) options.save = file.has_parent_path() ? file.parent_path().string() : ".";
  }
  if (options.save.empty()) options.save = "runs/" + options.net.model;
  if (!checkpoint && fs::exists(options.save + "/last.safetensors"))
    fail("train: '", options.save, "' holds a training already; go on with --resume, or name another folder by --save");
  options.devices = devices_of(options.device_names);
  seed(options.seed);
  set_timed_plans(options.timed_plans);
  Training training(options, checkpoint);
  options.net.classes = training.net().classes;
  std::signal(SIGINT, on_interrupt);
  return training.run(settings.text());
}

}  // namespace

int main(int argc, char** argv) {
  TrainOptions options;
  CLI::App app("Trains a segmentation net on a folder of pictures or, without one, on generated shapes.");
  Settings settings(app);
  add_train(app, settings, options);
  return run_program(app, argc, argv, [&] { return run(options, settings); });
}
