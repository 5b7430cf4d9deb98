// A data set by index: pictures of a folder, or generated ones of discs, squares and triangles.
#pragma once

#include <weft/nn/data/augment.h>
#include <weft/nn/data/folder.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

namespace segmentation {

using namespace weft;

struct DatasetOptions {
  std::string folder = {};  // none: generated
  int64_t classes = 0;      // 0: what the folder says
  int64_t generated = 256, side = 64;
  uint64_t seed = 1;
};

// Which of disc, square and triangle, 1, 2 and 3, has (x, y) inside; else 0. (0, 0) is its middle and r its size.
inline bool inside_shape(int64_t kind, double x, double y, double r) {
  if (kind == 1) return x * x + y * y < r * r;
  if (kind == 2) return std::max(std::fabs(x), std::fabs(y)) < 0.85 * r;
  return y < 0.7 * r && y > std::fabs(x) * 1.7 - r;
}

// Three shapes of random place, size and colour on a noisy ground; later ones hide earlier ones. Values 0 … 255.
inline data::Sample generate_shapes(int64_t side, data::SampleRandom random) {
  data::Sample sample{"generated", side, side, 3, {}, {}};
  const auto extent = static_cast<double>(side);
  struct Shape {
    int64_t kind;
    double x, y, r, color[3];
  } shapes[3];
  for (Shape& s : shapes) {
    s.kind = 1 + random.below(3);
    s.x = random.uniform(0.15, 0.85) * extent, s.y = random.uniform(0.15, 0.85) * extent;
    s.r = random.uniform(0.12, 0.27) * extent;
    for (int64_t c = 0; c < 3; ++c) s.color[c] = random.uniform(0, 0.7) + (c == s.kind - 1 ? 0.3 : 0);  // a hint only
  }
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x) {
      const double ground[] = {0.5, 0.5, 0.5};
      const double* color = ground;
      uint8_t label = 0;
      for (const Shape& s : shapes)
        if (inside_shape(s.kind, static_cast<double>(x) - s.x, static_cast<double>(y) - s.y, s.r))
          label = static_cast<uint8_t>(s.kind), color = s.color;
      sample.labels.push_back(label);
      for (int c = 0; c < 3; ++c)
        sample.image.push_back(static_cast<float>(255 * std::clamp(color[c] + random.uniform(-0.12, 0.12), 0.0, 1.0)));
    }
  return sample;
}

class Dataset {
 public:
  // split: "train" or "val". A folder without splits gives all its pictures to both.
  Dataset(const DatasetOptions& options, const std::string& split) : options_(options), validation_(split != "train") {
    if (options.folder.empty()) {
      classes_ = {"background", "disc", "square", "triangle"};
      size_ = static_cast<size_t>(validation_ ? std::max<int64_t>(options.generated / 4, 1) : options.generated);
      text_ = std::to_string(size_) + " generated pictures";
      return;
    }
    split_ = data::has_split(options.folder, split);
    folder_ = data::open_folder(options.folder, split_ ? split : "");
    classes_ = folder_.classes;
    size_ = folder_.files.size();
    text_ = std::to_string(size_) + " pictures of '" + options.folder + "' (" + folder_.layout + ", " +
            (split_ ? split : std::string("no split: all")) + ")";
    name_classes();
  }

  size_t size() const { return size_; }
  bool is_split() const { return options_.folder.empty() || split_; }
  const std::vector<std::string>& classes() const { return classes_; }
  const std::string& describe() const { return text_; }

  // As stored, values 0 … 255. Throws Error naming the picture where a label is no class.
  data::Sample sample(size_t i) const {
    if (options_.folder.empty())
      return generate_shapes(options_.side, data::SampleRandom(options_.seed, validation_ ? 1 : 0, i));
    data::Sample sample = data::read_sample(folder_.files[i], data::voc_palette());
    for (const uint8_t label : sample.labels)
      if (label != 255 && label >= classes_.size())
        fail("dataset: '", folder_.files[i].labels, "' has a label ", static_cast<int>(label), ", but there are ",
             static_cast<int64_t>(classes_.size()), " classes; give more with --classes, or mark such pixels 255");
    return sample;
  }

 private:
  void name_classes() {
    auto count = static_cast<size_t>(options_.classes);
    if (count == 0) count = classes_.size();
    if (count == 0 && folder_.layout == "VOC") count = 21;
    if (count == 0 && folder_.layout == "ADE20K") count = 150;
    if (count == 0)
      fail("dataset: '", options_.folder, "' has no class_names.txt, which would say the classes; give --classes");
    for (size_t c = classes_.size(); c < count; ++c) classes_.push_back("class " + std::to_string(c));
    classes_.resize(count);
  }

  DatasetOptions options_;
  bool validation_, split_ = false;
  data::Folder folder_;
  std::vector<std::string> classes_;
  size_t size_ = 0;
  std::string text_;
};

}  // namespace segmentation
