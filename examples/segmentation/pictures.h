// Pictures of results: labels in the palette's colours over an image, several side by side, a legend of classes.
#pragma once

#include <weft/nn/data/image.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace segmentation {

using namespace weft;

// Black, `height` times `width`.
inline data::Image canvas(int64_t height, int64_t width) {
  return {height, width, 3, std::vector<uint8_t>(static_cast<size_t>(height * width * 3))};
}

inline void paint(data::Image& picture, int64_t top, int64_t left, int64_t height, int64_t width, data::Color color) {
  for (int64_t y = std::max<int64_t>(top, 0); y < std::min(top + height, picture.height); ++y)
    for (int64_t x = std::max<int64_t>(left, 0); x < std::min(left + width, picture.width); ++x)
      std::copy(color.begin(), color.end(), &picture.pixels[static_cast<size_t>((y * picture.width + x) * 3)]);
}

inline void paste(data::Image& picture, int64_t top, int64_t left, const data::Image& part) {
  for (int64_t y = 0; y < part.height; ++y)
    std::copy_n(&part.pixels[static_cast<size_t>(y * part.width * 3)], part.width * 3,
                &picture.pixels[static_cast<size_t>(((top + y) * picture.width + left) * 3)]);
}

// The image with every class in its colour, half transparent, but black ones, which leave it as it is; 255 is white.
inline data::Image overlay(const data::Image& image, const std::vector<uint8_t>& labels, const data::Palette& palette) {
  data::Image result = image;
  for (size_t i = 0; i < labels.size(); ++i)
    for (size_t c = 0; (labels[i] == 255 || palette[labels[i]] != data::Color{}) && c < 3; ++c) {
      const int color = labels[i] == 255 ? 255 : palette[labels[i]][c];
      result.pixels[3 * i + c] = static_cast<uint8_t>((image.pixels[3 * i + c] * 9 + color * 11) / 20);
    }
  return result;
}

// Five rows of three pixels a character, a row per octal digit, the top one first.
inline int glyph(char c) {
  constexpr int letters[] = {025755, 065656, 034443, 065556, 074647, 074644, 034553, 055755, 072227,
                             011152, 055655, 044447, 057755, 065555, 025552, 065644, 025563, 065655,
                             034216, 072222, 055557, 055552, 055775, 055255, 055222, 071247};
  constexpr int digits[] = {075557, 026227, 061247, 061216, 055711, 074616, 034757, 071222, 075757, 075716};
  const auto byte = static_cast<unsigned char>(c);
  if (std::isalpha(byte) && byte < 128) return letters[std::toupper(byte) - 'A'];
  if (c >= '0' && c <= '9') return digits[c - '0'];
  return c == '-' ? 0700 : c == '/' ? 011244 : c == '.' ? 2 : 0;
}

// Characters are 6 pixels wide and 10 high, 8 from one to the next.
inline void write(data::Image& picture, int64_t top, int64_t left, std::string_view text, data::Color color) {
  for (size_t i = 0; i < text.size(); ++i) {
    const int bits = glyph(text[i]);
    for (int k = 0; k < 15; ++k)
      if (bits >> (14 - k) & 1)
        paint(picture, top + k / 3 * 2, left + static_cast<int64_t>(i) * 8 + k % 3 * 2, 2, 2, color);
  }
}

// A colour and a name for each of `classes`, in as many lines as the width asks for.
inline data::Image legend(int64_t width, const std::set<uint8_t>& classes, const std::vector<std::string>& names,
                          const data::Palette& palette) {
  struct Entry {
    int64_t x, y;
    uint8_t label;
    std::string name;
  };
  std::vector<Entry> entries;
  int64_t x = 4, y = 4;
  for (const uint8_t label : classes) {
    const std::string name = label < names.size() ? names[label] : "ignored";
    const int64_t extent = 24 + 8 * static_cast<int64_t>(name.size());
    if (x > 4 && x + extent > width) x = 4, y += 14;
    entries.push_back({x, y, label, name});
    x += extent;
  }
  data::Image picture = canvas(y + 14, width);
  paint(picture, 0, 0, picture.height, width, {32, 32, 32});
  for (const Entry& entry : entries) {
    paint(picture, entry.y, entry.x, 10, 12, {255, 255, 255});  // a frame, for black
    paint(picture, entry.y + 1, entry.x + 1, 8, 10, palette[entry.label]);
    write(picture, entry.y, entry.x + 16, entry.name, {255, 255, 255});
  }
  return picture;
}

struct Example {
  data::Image image;
  std::vector<uint8_t> truth, prediction;
};

// A row per example, image | truth | prediction, all of one size, and a legend of the classes that occur in them.
inline data::Image side_by_side(const std::vector<Example>& examples, const std::vector<std::string>& names,
                                data::Palette palette = data::voc_palette()) {
  palette.resize(256, {255, 255, 255});
  palette[255] = {255, 255, 255};
  std::set<uint8_t> classes;
  for (const Example& example : examples)
    for (const auto* labels : {&example.truth, &example.prediction}) classes.insert(labels->begin(), labels->end());
  const int64_t height = examples.front().image.height, width = examples.front().image.width, gap = 4;
  const data::Image below = legend(std::max<int64_t>(3 * width + 2 * gap, 220), classes, names, palette);
  const auto rows = static_cast<int64_t>(examples.size());
  data::Image picture = canvas(rows * (height + gap) + below.height, below.width);
  for (int64_t row = 0; row < rows; ++row) {
    const Example& example = examples[static_cast<size_t>(row)];
    const int64_t top = row * (height + gap);
    paste(picture, top, 0, example.image);
    paste(picture, top, width + gap, overlay(example.image, example.truth, palette));
    paste(picture, top, 2 * (width + gap), overlay(example.image, example.prediction, palette));
  }
  paste(picture, rows * (height + gap), 0, below);
  return picture;
}

}  // namespace segmentation
