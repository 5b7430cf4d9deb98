// Palettes: the colours in which the classes of known data sets are shown.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weft::data {

using Color = std::array<uint8_t, 3>;
using Palette = std::vector<Color>;

/// PASCAL VOC's 256 colours: the bits of a class, from the lowest, go to the top bits of red, green, blue in turn.
Palette voc_palette();
/// ADE20K's colours of its 150 classes, "wall" being 0.
Palette ade_palette();
/// Cityscapes' colours of its 19 training classes, "road" being 0.
Palette cityscapes_palette();
/// By name: "voc", "ade", "cityscapes". Throws Error listing them.
Palette palette_of(const std::string& name);

}  // namespace weft::data
