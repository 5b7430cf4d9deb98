// A real net with published weights, against probabilities that PyTorch computed with them.
#include <doctest/doctest.h>

#include "examples/selfie/person.h"
#include "tests/support/paths.h"
#include "weft/nn/data/image.h"

using namespace weft;

TEST_CASE("selfie: the person net's probabilities of the reference photo") {
  const std::string folder = test::source_path("examples/selfie/");
  const data::Image photo = data::read_image(folder + "photo.png"), mask = data::read_png(folder + "mask16.png");
  REQUIRE(photo.channels == 3);
  REQUIRE(mask.channels == 2);  // the high and the low byte of 65535 p
  const PersonNet net(folder + "selfie.safetensors");
  const Tensor x = tensor(photo.pixels, {1, photo.height, photo.width, 3}).permute({0, 3, 1, 2}).to(DType::f32);
  const Tensor y = net.forward(x * (1 / 255.0));
  REQUIRE(y.shape() == Shape{1, 1, mask.height, mask.width});
  const std::vector<float> found = y.to_vector<float>();
  double most = 0;
  for (size_t i = 0; i < found.size(); ++i)
    most = std::max(most, std::abs(found[i] - (mask.pixels[2 * i] * 256 + mask.pixels[2 * i + 1]) / 65535.0));
  CHECK(most < 1e-3);
  MESSAGE("largest difference ", most);
}
