// Palettes of known data sets.
#include "weft/nn/data/palette.h"

#include <doctest/doctest.h>

#include "weft/tensor/error.h"

using namespace weft;
using namespace weft::data;

TEST_CASE("palettes: VOC's colours") {
  const Palette palette = voc_palette();
  CHECK(palette.size() == 256);
  CHECK(palette[0] == Color{0, 0, 0});
  CHECK(palette[3] == Color{128, 128, 0});
  CHECK(palette[15] == Color{192, 128, 128});
  CHECK(palette[20] == Color{0, 64, 128});
  CHECK(palette[255] == Color{224, 224, 192});
}

TEST_CASE("palettes: ADE20K's and Cityscapes' first, last and a middle colour; by name") {
  const Palette ade = ade_palette(), streets = cityscapes_palette();
  CHECK(ade.size() == 150);
  CHECK(ade[0] == Color{120, 120, 120});  // wall
  CHECK(ade[12] == Color{150, 5, 61});    // person
  CHECK(ade[149] == Color{92, 0, 255});   // flag
  CHECK(streets.size() == 19);
  CHECK(streets[0] == Color{128, 64, 128});  // road
  CHECK(streets[11] == Color{220, 20, 60});  // person
  CHECK(streets[18] == Color{119, 11, 32});  // bicycle
  CHECK(palette_of("voc") == voc_palette());
  CHECK(palette_of("ade") == ade);
  CHECK(palette_of("cityscapes") == streets);
  CHECK_THROWS_WITH_AS(palette_of("coco"), doctest::Contains("'coco'"), Error);
}
