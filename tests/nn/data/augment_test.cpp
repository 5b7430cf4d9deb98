// Augmentations: image and labels move together, sizes are what they should be, random numbers are reproducible.
#include "weft/nn/data/augment.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/nn/data/scratch.h"

using namespace weft;
using namespace weft::data;
using namespace weft::test;

namespace {

// Value 10 y + x (+ 100 c), labels (y + x) % 3.
Sample counting(int64_t height, int64_t width, int64_t channels) {
  Sample sample{"counting", height, width, channels, {}, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < channels; ++c) sample.image.push_back(static_cast<float>(10 * y + x + 100 * c));
      sample.labels.push_back(static_cast<uint8_t>((y + x) % 3));
    }
  return sample;
}

// A bright square on black, whose pixels are the ones labelled 1.
Sample square(int64_t side) {
  Sample sample{"square", side, side, 1, {}, {}};
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x) {
      const bool inside = y >= side / 3 && y < 2 * side / 3 && x >= side / 4 && x < side / 2;
      sample.image.push_back(inside);
      sample.labels.push_back(inside);
    }
  return sample;
}

double mean_of(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("augment: random numbers depend on seed, epoch and sample alone, and are spread as they should be") {
  SampleRandom a(1, 2, 3), again(1, 2, 3), other(1, 3, 2);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const uint32_t word = a.word();
    CHECK(word == again.word());
    differs = differs || word != other.word();
  }
  CHECK(differs);
  SampleRandom random(7, 0, 0);
  double sum = 0, squares = 0;
  int64_t counts[5] = {};
  for (int i = 0; i < 20000; ++i) {
    const double x = random.normal();
    sum += x, squares += x * x;
    ++counts[random.below(5)];
    const double u = random.uniform(-2, 3);
    CHECK((u >= -2 && u < 3));
  }
  CHECK(std::fabs(sum / 20000) < 0.03);
  CHECK(std::fabs(squares / 20000 - 1) < 0.05);
  for (const int64_t count : counts) CHECK(std::abs(count - 4000) < 300);
}

TEST_CASE("augment: mirror, crop and pad move image and labels alike") {
  const Sample x = counting(3, 4, 2);
  const Sample m = mirror(x);
  for (int64_t y = 0; y < 3; ++y)
    for (int64_t i = 0; i < 4; ++i) {
      CHECK(m.labels[static_cast<size_t>(y * 4 + i)] == (y + 3 - i) % 3);
      CHECK(m.image[static_cast<size_t>((y * 4 + i) * 2 + 1)] == static_cast<float>(100 + 10 * y + 3 - i));
    }
  const Sample c = crop(x, 1, 2, 2, 2);
  CHECK(c.image == std::vector<float>{12, 112, 13, 113, 22, 122, 23, 123});
  CHECK(c.labels == std::vector<uint8_t>{0, 1, 1, 2});
  CHECK(contains(error_of<ShapeError>([&] { crop(x, 2, 0, 2, 2); }), "counting"));
  const Sample p = pad_to(c, 3, 2, 255);
  CHECK(p.height == 3);
  CHECK(p.labels == std::vector<uint8_t>{0, 1, 1, 2, 255, 255});
  CHECK(p.image[8] == 0);
  CHECK(pad_to(c, 1, 1, 255).image == c.image);
}

TEST_CASE("augment: resizing is bilinear in the image, nearest in labels, and keeps proportions") {
  Sample ramp{"ramp", 1, 4, 1, {0, 1, 2, 3}, {0, 1, 2, 3}};
  const Sample twice = resize_to(ramp, 2, 8);
  // Output o lies at (o + 1/2) / 2 - 1/2, ends clamped.
  CHECK(std::vector<float>(twice.image.begin(), twice.image.begin() + 8) ==
        std::vector<float>{0, 0.25f, 0.75f, 1.25f, 1.75f, 2.25f, 2.75f, 3});
  CHECK(std::vector<uint8_t>(twice.labels.begin(), twice.labels.begin() + 8) ==
        std::vector<uint8_t>{0, 0, 1, 1, 2, 2, 3, 3});
  const Sample x = counting(30, 40, 1);
  CHECK(resize_long_side(x, 20).height == 15);
  CHECK(resize_long_side(x, 20).width == 20);
  CHECK(resize_short_side(x, 60).width == 80);
  CHECK(contains(error_of<ShapeError>([&] { resize_to(x, 0, 3); }), "0 x 3"));
}

TEST_CASE("augment: after an affine map the labels still lie on the bright square") {
  const Sample x = square(60);
  for (uint64_t i = 0; i < 8; ++i) {
    SampleRandom random(3, 0, i);
    const Sample y = random_affine(x, {}, random);
    int64_t agree = 0, bright = 0;
    for (size_t k = 0; k < y.image.size(); ++k) {
      bright += y.image[k] > 0.5f;
      agree += (y.image[k] > 0.5f) == (y.labels[k] == 1);
    }
    CHECK(bright > 150);  // of 300, scaled by at least 0.85
    CHECK(agree > 3600 - 40);
    CHECK(y.image != x.image);
  }
  SampleRandom still(3, 0, 0);
  CHECK(random_affine(x, {.scale = 0, .angle = 0, .shift = 0}, still).image == x.image);
  SampleRandom far(3, 0, 0);
  const Sample shrunk = random_affine(x, {.scale = 0.9, .angle = 0, .shift = 0, .outside = 9}, far);
  CHECK((shrunk.labels[0] == 9 || shrunk.labels[0] == 0));
}

TEST_CASE("augment: gamma keeps 0 and 1, noise keeps the mean, blur keeps the sum of an inner point") {
  Sample x{"x", 1, 3, 1, {0, 0.5f, 1}, {}};
  SampleRandom random(1, 0, 0);
  const Sample g = random_gamma(x, 0.3, random);
  CHECK(g.image[0] == 0);
  CHECK(g.image[2] == 1);
  CHECK(g.image[1] != 0.5f);
  CHECK((g.image[1] > 0.40f && g.image[1] < 0.59f));
  const Sample flat{"flat", 50, 50, 1, std::vector<float>(2500, 3), {}};
  const Sample noisy = random_noise(flat, 0.5, random);
  CHECK(std::fabs(mean_of(noisy.image) - 3) < 0.05);
  CHECK(noisy.image != flat.image);
  Sample point{"point", 15, 15, 1, std::vector<float>(225), {}};
  point.image[7 * 15 + 7] = 1;
  const Sample spread = blur(point, 1);
  CHECK(mean_of(spread.image) * 225 == doctest::Approx(1).epsilon(1e-5));
  CHECK(spread.image[7 * 15 + 7] == doctest::Approx(0.1592).epsilon(0.01));  // 1 / (2 pi)
  CHECK(spread.image[7 * 15 + 8] == doctest::Approx(spread.image[8 * 15 + 7]));
  CHECK(blur(point, 0).image == point.image);
}

TEST_CASE("augment: the segmentation recipes give normalised squares of the crop's size") {
  const SegmentationOptions options{.base = 40, .crop = 32, .ignore = 255};
  const Sample x = counting(30, 50, 3);
  bool padded = false;
  for (uint64_t i = 0; i < 20; ++i) {
    SampleRandom random(5, 0, i), again(5, 0, i);
    const Sample y = augment_for_training(x, options, random);
    CHECK(y.height == 32);
    CHECK(y.width == 32);
    CHECK(y.labels.size() == 32 * 32);
    for (const uint8_t label : y.labels) CHECK((label < 3 || label == 255));
    padded = padded || std::count(y.labels.begin(), y.labels.end(), 255) > 0;
    CHECK(augment_for_training(x, options, again).image == y.image);
  }
  CHECK(padded);
  const Sample v = prepare_for_validation(x, options);
  CHECK(v.height == 32);
  CHECK(v.width == 32);
  Sample white{"white", 1, 1, 3, {255, 255, 255}, {}};
  CHECK(normalize(white).image[0] == doctest::Approx((1 - 0.485) / 0.229));
  CHECK(contains(error_of<ShapeError>([&] { normalize(counting(2, 2, 1)); }), "1 channels"));
}

TEST_CASE("collate: channels-last tensors; samples that differ are named") {
  const std::vector<Sample> samples{counting(2, 3, 2), counting(2, 3, 2)};
  const Batch batch = collate(samples);
  CHECK(batch.image.shape() == Shape{2, 2, 2, 3});
  CHECK(batch.image.is_contiguous(Layout::channels_last));
  CHECK(batch.image.to_vector<float>()[6] == 100);  // sample 0, channel 1
  CHECK(batch.labels.shape() == Shape{2, 2, 3});
  CHECK(batch.names == std::vector<std::string>{"counting", "counting"});
  std::vector<Sample> mixed = samples;
  mixed[1] = counting(2, 4, 2);
  mixed[1].name = "odd one";
  CHECK(contains(error_of<ShapeError>([&] { collate(mixed); }), "odd one"));
  mixed[1] = samples[0];
  mixed[1].image.pop_back();
  CHECK(contains(error_of<ShapeError>([&] { collate(mixed); }), "11 values"));
  CHECK(contains(error_of<ShapeError>([&] { collate({}); }), "no samples"));
  CHECK(contains(error_of<ShapeError>([&] { make_sample("a", Image{1, 1, 1, {0}}, LabelMap{1, 2, {0, 0}}); }), "'a'"));
}
