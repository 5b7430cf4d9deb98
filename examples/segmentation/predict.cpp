// What a trained segmentation net sees in pictures: a palette PNG and an overlay for each.
//
//   predict runs/shapes/best.safetensors photo.jpg --out seen
#include <CLI/CLI.hpp>

#include <cstdio>
#include <filesystem>

#include "../progress.h"
#include "pictures.h"
#include "trained.h"

using namespace segmentation;
namespace fs = std::filesystem;

namespace {

struct Options {
  UseOptions use;
  std::string input, out = "predictions", palette = "voc";
};

// The picture, or those of the folder by name.
std::vector<fs::path> pictures_in(const fs::path& input) {
  if (!fs::is_directory(input)) return {input};
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(input)) {
    std::string ending = entry.path().extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
    if (ending == ".png" || ending == ".jpg" || ending == ".jpeg") files.push_back(entry.path());
  }
  if (files.empty()) fail("predict: '", input.string(), "' holds no .png, .jpg or .jpeg");
  std::sort(files.begin(), files.end());
  return files;
}

// The image with its labels over it and a legend below.
data::Image explained(const data::Image& image, const std::vector<uint8_t>& labels,
                      const std::vector<std::string>& names, const data::Palette& palette) {
  const data::Image below = legend(image.width, {labels.begin(), labels.end()}, names, palette);
  data::Image picture = canvas(image.height + below.height, image.width);
  paste(picture, 0, 0, overlay(image, labels, palette));
  paste(picture, image.height, 0, below);
  return picture;
}

int run(Options& options) {
  Trained trained = load_trained(options.use);
  for (auto c = static_cast<int64_t>(trained.names.size()); c < trained.classes; ++c)
    trained.names.push_back("class " + std::to_string(c));
  const data::Palette palette = data::palette_of(options.palette);
  if (static_cast<size_t>(trained.classes) > palette.size())
    fail("predict: the net has ", trained.classes, " classes, the palette ", options.palette, " only ",
         static_cast<int64_t>(palette.size()), " colours; take --palette voc");
  const std::vector<fs::path> files = pictures_in(options.input);
  fs::create_directories(options.out);
  const auto count = static_cast<int64_t>(files.size());
  Progress progress(count, std::max<int64_t>(1, count / 10));
  for (int64_t i = 0; i < count; ++i) {
    const fs::path& file = files[static_cast<size_t>(i)];
    const data::Image image = data::to_rgb(data::read_image(file.string()));
    const data::Sample sample{
        file.string(), image.height, image.width, 3, std::vector<float>(image.pixels.begin(), image.pixels.end()), {}};
    const auto labels = classes_of(trained, sample, options.use).to_vector<uint8_t>();
    const std::string name = (fs::path(options.out) / file.stem()).string();
    data::write_png(name + ".png", data::LabelMap{image.height, image.width, labels}, palette);
    data::write_png(name + "_overlay.png", explained(image, labels, trained.names, palette));
    progress.show(i + 1, name + ".png  " + speed(i + 1, progress.seconds()));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Writes what a trained segmentation net sees: NAME.png in colours, and NAME_overlay.png.");
  Settings settings(app);
  add_use(app, settings, options.use);
  app.add_option("input", options.input, "a picture, or a folder of pictures")->required()->check(CLI::ExistingPath);
  app.add_option("--out", options.out, "folder of what is written")->capture_default_str();
  app.add_option("--palette", options.palette, "whose colours the classes have")
      ->check(CLI::IsMember({"voc", "ade", "cityscapes"}))
      ->capture_default_str();
  return run_program(app, argc, argv, [&] { return run(options); });
}
