#include "weft/nn/data/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace weft::data {

namespace {

Sample empty_of(const Sample& like, int64_t height, int64_t width) {
  Sample result{like.name, height, width, like.channels, {}, {}};
  result.image.resize(static_cast<size_t>(height * width * like.channels));
  if (!like.labels.empty()) result.labels.resize(static_cast<size_t>(height * width));
  return result;
}

// The image at (y, x) in pixels, blended of its four neighbours; those outside count as 0, or as the edge if `clamp`.
struct Bilinear {
  const Sample& from;
  bool clamp;

  void add(int64_t y, int64_t x, float weight, float* to) const {
    if (clamp) {
      y = std::clamp<int64_t>(y, 0, from.height - 1);
      x = std::clamp<int64_t>(x, 0, from.width - 1);
    }
    if (y < 0 || x < 0 || y >= from.height || x >= from.width) return;
    const float* pixel = &from.image[static_cast<size_t>((y * from.width + x) * from.channels)];
    for (int64_t c = 0; c < from.channels; ++c) to[c] += weight * pixel[c];
  }
  void operator()(double y, double x, float* to) const {
    const double top = std::floor(y), left = std::floor(x);
    const auto fy = static_cast<float>(y - top), fx = static_cast<float>(x - left);
    const auto iy = static_cast<int64_t>(top), ix = static_cast<int64_t>(left);
    add(iy, ix, (1 - fy) * (1 - fx), to), add(iy, ix + 1, (1 - fy) * fx, to);
    add(iy + 1, ix, fy * (1 - fx), to), add(iy + 1, ix + 1, fy * fx, to);
  }
};

uint8_t nearest(const Sample& from, double y, double x, uint8_t outside) {
  const auto iy = static_cast<int64_t>(std::floor(y + 0.5)), ix = static_cast<int64_t>(std::floor(x + 0.5));
  if (iy < 0 || ix < 0 || iy >= from.height || ix >= from.width) return outside;
  return from.labels[static_cast<size_t>(iy * from.width + ix)];
}

int64_t in_proportion(int64_t length, int64_t side, int64_t of) {
  return std::max<int64_t>(
      1, std::llround(static_cast<double>(length) * static_cast<double>(side) / static_cast<double>(of)));
}

}  // namespace

double SampleRandom::normal() {
  const double radius = std::sqrt(-2 * std::log((word() + 1.0) * 0x1p-32));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

Sample random_affine(const Sample& sample, const AffineRange& range, SampleRandom& random) {
  const double scale = random.uniform(1 - range.scale, 1 + range.scale);
  const double angle = random.uniform(-range.angle, range.angle);
  const double move_y = random.uniform(-range.shift, range.shift) * static_cast<double>(sample.height);
  const double move_x = random.uniform(-range.shift, range.shift) * static_cast<double>(sample.width);
  const double cos = std::cos(angle) / scale, sin = std::sin(angle) / scale;
  const double cy = static_cast<double>(sample.height - 1) / 2, cx = static_cast<double>(sample.width - 1) / 2;
  Sample result = empty_of(sample, sample.height, sample.width);
  const Bilinear image{sample, false};
  for (int64_t y = 0; y < result.height; ++y)
    for (int64_t x = 0; x < result.width; ++x) {
      const double dy = static_cast<double>(y) - cy - move_y, dx = static_cast<double>(x) - cx - move_x;
      const double from_y = cy + cos * dy - sin * dx, from_x = cx + sin * dy + cos * dx;
      const auto i = static_cast<size_t>(y * result.width + x);
      image(from_y, from_x, &result.image[i * static_cast<size_t>(result.channels)]);
      if (!result.labels.empty()) result.labels[i] = nearest(sample, from_y, from_x, range.outside);
    }
  return result;
}

Sample mirror(const Sample& sample) {
  Sample result = empty_of(sample, sample.height, sample.width);
  for (int64_t y = 0; y < sample.height; ++y)
    for (int64_t x = 0; x < sample.width; ++x) {
      const int64_t to = y * sample.width + x, from = y * sample.width + sample.width - 1 - x;
      std::copy_n(&sample.image[static_cast<size_t>(from * sample.channels)], sample.channels,
                  &result.image[static_cast<size_t>(to * sample.channels)]);
      if (!sample.labels.empty()) result.labels[static_cast<size_t>(to)] = sample.labels[static_cast<size_t>(from)];
    }
  return result;
}

Sample random_gamma(Sample sample, double range, SampleRandom& random) {
  const double most = std::log(1 + range);
  const auto power = static_cast<float>(std::exp(random.uniform(-most, most)));
  for (float& value : sample.image) value = value > 0 ? std::pow(value, power) : 0;
  return sample;
}

Sample random_noise(Sample sample, double most, SampleRandom& random) {
  const double deviation = random.uniform(0, most);
  for (float& value : sample.image) value += static_cast<float>(deviation * random.normal());
  return sample;
}

Sample resize_to(const Sample& sample, int64_t height, int64_t width) {
  if (height == sample.height && width == sample.width) return sample;
  WEFT_CHECK(ShapeError, height > 0 && width > 0, "resize_to: '", sample.name, "' to ", height, " x ", width,
             " pixels; both must be positive");
  Sample result = empty_of(sample, height, width);
  const Bilinear image{sample, true};
  const double step_y = static_cast<double>(sample.height) / static_cast<double>(height);
  const double step_x = static_cast<double>(sample.width) / static_cast<double>(width);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const double at_y = (static_cast<double>(y) + 0.5) * step_y, at_x = (static_cast<double>(x) + 0.5) * step_x;
      const auto i = static_cast<size_t>(y * width + x);
      image(at_y - 0.5, at_x - 0.5, &result.image[i * static_cast<size_t>(sample.channels)]);
      if (!sample.labels.empty()) {
        const auto from = static_cast<int64_t>(at_y) * sample.width + static_cast<int64_t>(at_x);
        result.labels[i] = sample.labels[static_cast<size_t>(from)];
      }
    }
  return result;
}

Sample resize_long_side(const Sample& sample, int64_t side) {
  return sample.height > sample.width ? resize_to(sample, side, in_proportion(sample.width, side, sample.height))
                                      : resize_to(sample, in_proportion(sample.height, side, sample.width), side);
}

Sample resize_short_side(const Sample& sample, int64_t side) {
  return sample.height < sample.width ? resize_to(sample, side, in_proportion(sample.width, side, sample.height))
                                      : resize_to(sample, in_proportion(sample.height, side, sample.width), side);
}

Sample pad_to(const Sample& sample, int64_t height, int64_t width, uint8_t ignore) {
  height = std::max(height, sample.height), width = std::max(width, sample.width);
  if (height == sample.height && width == sample.width) return sample;
  Sample result = empty_of(sample, height, width);
  std::fill(result.labels.begin(), result.labels.end(), ignore);
  for (int64_t y = 0; y < sample.height; ++y) {
    std::copy_n(&sample.image[static_cast<size_t>(y * sample.width * sample.channels)], sample.width * sample.channels,
                &result.image[static_cast<size_t>(y * width * sample.channels)]);
    if (!sample.labels.empty())
      std::copy_n(&sample.labels[static_cast<size_t>(y * sample.width)], sample.width,
                  &result.labels[static_cast<size_t>(y * width)]);
  }
  return result;
}

Sample crop(const Sample& sample, int64_t top, int64_t left, int64_t height, int64_t width) {
  WEFT_CHECK(
      ShapeError,
      top >= 0 && left >= 0 && height > 0 && width > 0 && top + height <= sample.height && left + width <= sample.width,
      "crop: ", height, " x ", width, " pixels at (", top, ", ", left, ") of '", sample.name, "', which has ",
      sample.height, " x ", sample.width, "; pad it first");
  Sample result = empty_of(sample, height, width);
  for (int64_t y = 0; y < height; ++y) {
    const int64_t from = (top + y) * sample.width + left;
    std::copy_n(&sample.image[static_cast<size_t>(from * sample.channels)], width * sample.channels,
                &result.image[static_cast<size_t>(y * width * sample.channels)]);
    if (!sample.labels.empty())
      std::copy_n(&sample.labels[static_cast<size_t>(from)], width, &result.labels[static_cast<size_t>(y * width)]);
  }
  return result;
}

namespace {

// Along one axis: `count` pixels a `step` apart (in floats), edges repeated.
void blur_line(const float* from, float* to, int64_t count, int64_t step, const std::vector<float>& half) {
  const auto reach = static_cast<int64_t>(half.size()) - 1;
  for (int64_t i = 0; i < count; ++i) {
    float sum = half[0] * from[i * step];
    for (int64_t k = 1; k <= reach; ++k)
      sum += half[static_cast<size_t>(k)] *
             (from[std::max<int64_t>(i - k, 0) * step] + from[std::min(i + k, count - 1) * step]);
    to[i * step] = sum;
  }
}

}  // namespace

Sample blur(const Sample& sample, double deviation) {
  if (!(deviation > 0)) return sample;
  std::vector<float> half;  // weights of distance 0, 1, …
  double total = 0;
  for (int64_t k = 0; static_cast<double>(k) <= std::ceil(3 * deviation); ++k) {
    const double weight = std::exp(-0.5 * static_cast<double>(k * k) / (deviation * deviation));
    half.push_back(static_cast<float>(weight));
    total += k == 0 ? weight : 2 * weight;
  }
  for (float& weight : half) weight = static_cast<float>(weight / total);
  Sample result = sample;
  std::vector<float> rows(sample.image.size());
  const int64_t row = sample.width * sample.channels;
  for (int64_t y = 0; y < sample.height; ++y)
    for (int64_t c = 0; c < sample.channels; ++c)
      blur_line(&sample.image[static_cast<size_t>(y * row + c)], &rows[static_cast<size_t>(y * row + c)], sample.width,
                sample.channels, half);
  for (int64_t x = 0; x < row; ++x)
    blur_line(&rows[static_cast<size_t>(x)], &result.image[static_cast<size_t>(x)], sample.height, row, half);
  return result;
}

Sample normalize(Sample sample) {
  constexpr float mean[] = {0.485f, 0.456f, 0.406f}, deviation[] = {0.229f, 0.224f, 0.225f};
  WEFT_CHECK(ShapeError, sample.channels == 3, "normalize: '", sample.name, "' has ", sample.channels,
             " channels; the statistics are those of RGB: see to_rgb");
  for (size_t i = 0; i < sample.image.size(); ++i)
    sample.image[i] = (sample.image[i] / 255 - mean[i % 3]) / deviation[i % 3];
  return sample;
}

Sample augment_for_training(const Sample& sample, const SegmentationOptions& options, SampleRandom& random) {
  const int64_t side = options.base / 2 + random.below(2 * options.base - options.base / 2 + 1);
  Sample result = resize_long_side(random.chance(0.5) ? mirror(sample) : sample, side);
  result = pad_to(result, options.crop, options.crop, options.ignore);
  const int64_t top = random.below(result.height - options.crop + 1);
  const int64_t left = random.below(result.width - options.crop + 1);
  result = crop(result, top, left, options.crop, options.crop);
  if (random.chance(0.5)) result = blur(result, random.uniform());
  return normalize(std::move(result));
}

Sample prepare_for_validation(const Sample& sample, const SegmentationOptions& options) {
  const Sample scaled = resize_short_side(sample, options.crop);
  return normalize(
      crop(scaled, (scaled.height - options.crop) / 2, (scaled.width - options.crop) / 2, options.crop, options.crop));
}

}  // namespace weft::data
