#include "weft/nn/data/sample.h"

#include "weft/tensor/ops/view.h"

namespace weft::data {

Sample make_sample(const std::string& name, const Image& image, const LabelMap& labels) {
  WEFT_CHECK(ShapeError, image.height == labels.height && image.width == labels.width, "make_sample: '", name,
             "' is a picture of ", image.height, " x ", image.width, " pixels with labels of ", labels.height, " x ",
             labels.width, "; do they belong together?");
  return {name,
          image.height,
          image.width,
          image.channels,
          std::vector<float>(image.pixels.begin(), image.pixels.end()),
          labels.values};
}

Batch collate(std::span<const Sample> samples) {
  WEFT_CHECK(ShapeError, !samples.empty(), "collate: no samples; give at least one");
  const Sample& first = samples.front();
  Batch batch;
  std::vector<float> image;
  std::vector<uint8_t> labels;
  image.reserve(samples.size() * first.image.size());
  for (const Sample& sample : samples) {
    WEFT_CHECK(ShapeError,
               sample.height == first.height && sample.width == first.width && sample.channels == first.channels &&
                   sample.labels.size() == first.labels.size(),
               "collate: '", sample.name, "' has ", sample.height, " x ", sample.width, " pixels of ", sample.channels,
               " channels and ", sample.labels.size(), " labels, '", first.name, "' ", first.height, " x ", first.width,
               " of ", first.channels, " and ", first.labels.size(), "; crop or resize them alike");
    image.insert(image.end(), sample.image.begin(), sample.image.end());
    labels.insert(labels.end(), sample.labels.begin(), sample.labels.end());
    batch.names.push_back(sample.name);
  }
  const auto n = static_cast<int64_t>(samples.size());
  const Device host("cpu");
  batch.image = ops::permute(tensor(image, {n, first.height, first.width, first.channels}, host), {0, 3, 1, 2});
  if (!labels.empty()) batch.labels = tensor(labels, {n, first.height, first.width}, host);
  return batch;
}

}  // namespace weft::data
