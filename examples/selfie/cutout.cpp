// Cuts the person out of a photo: everything else becomes transparent.
//
//   cutout photo.png out.png [weights=examples/selfie/selfie.safetensors]
#include <weft/autograd/ops/reduce.h>
#include <weft/nn/data/sample.h>

#include <cmath>
#include <cstdio>

#include "person.h"

using namespace weft;

namespace {

/// RGB [1, 3, H, W] in [0, 1].
Tensor to_tensor(const data::Image& image) {
  return tensor(image.pixels, {1, image.height, image.width, 3}).permute({0, 3, 1, 2}).to(DType::f32) * (1 / 255.0);
}

/// The picture with the probabilities [1, 1, H, W] as its alpha channel.
data::Image with_alpha(const data::Image& image, const Tensor& probability) {
  const std::vector<float> alpha = probability.to_vector<float>();
  data::Image out{image.height, image.width, 4, {}};
  for (size_t i = 0; i < alpha.size(); ++i) {
    out.pixels.insert(out.pixels.end(), &image.pixels[3 * i], &image.pixels[3 * i] + 3);
    out.pixels.push_back(static_cast<uint8_t>(std::lround(255 * alpha[i])));
  }
  return out;
}

int run(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "cutout photo.png out.png [examples/selfie/selfie.safetensors]\n");
    return 2;
  }
  const PersonNet net(argc > 3 ? argv[3] : "examples/selfie/selfie.safetensors");
  const data::Image photo = data::to_rgb(data::read_image(argv[1]));
  const Tensor seen = resize(to_tensor(photo), PersonNet::side);
  const Tensor probability = resize(net.forward(seen), Pair(photo.height, photo.width));
  data::write_png(argv[2], with_alpha(photo, probability));
  std::printf("%.1f %% of %s is a person; written to %s\n", 100 * mean(probability).item<float>(), argv[1], argv[2]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cutout: %s\n", error.what());
    return 1;
  }
}
