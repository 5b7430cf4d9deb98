#include "weft/nn/data/sample.h"

#include <algorithm>

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
  const auto n = static_cast<int64_t>(samples.size());
  Batch batch;
  // Page-locked where there is a GPU to copy to.
  const Tensor image = empty({n, first.height, first.width, first.channels}, {.device = "cpu", .pinned = true});
  float* pixels = image.data<float>();
  uint8_t* labels = nullptr;
  if (!first.labels.empty()) {
    batch.labels = empty({n, first.height, first.width}, {.dtype = DType::u8, .device = "cpu", .pinned = true});
    labels = batch.labels.data<uint8_t>();
  }
  for (const Sample& sample : samples) {
    WEFT_CHECK(ShapeError,
               sample.height == first.height && sample.width == first.width && sample.channels == first.channels &&
                   sample.labels.size() == first.labels.size(),
               "collate: '", sample.name, "' has ", sample.height, " x ", sample.width, " pixels of ", sample.channels,
               " channels and ", static_cast<int64_t>(sample.labels.size()), " labels, '", first.name, "' ",
               first.height, " x ", first.width, " of ", first.channels, " and ",
               static_cast<int64_t>(first.labels.size()), "; crop or resize them alike");
    const int64_t area = sample.height * sample.width, held = static_cast<int64_t>(sample.labels.size());
    WEFT_CHECK(ShapeError,
               static_cast<int64_t>(sample.image.size()) == area * sample.channels && (held == 0 || held == area),
               "collate: '", sample.name, "' holds ", static_cast<int64_t>(sample.image.size()), " values and ", held,
               " labels for ", sample.height, " x ", sample.width, " pixels of ", sample.channels, " channels");
    pixels = std::copy(sample.image.begin(), sample.image.end(), pixels);
    labels = std::copy(sample.labels.begin(), sample.labels.end(), labels);
    batch.names.push_back(sample.name);
  }
  batch.image = ops::permute(image, {0, 3, 1, 2});
  return batch;
}

}  // namespace weft::data
