// Trains a segmentation net data-parallel on generated pictures of discs, squares and triangles, then shows what it
// sees.
//
//   shapes [steps] [devices…]        shapes 200 cpu:0 cpu:1
#include <weft/nn/nn.h>
#include <weft/parallel/backward.h>
#include <weft/parallel/data_parallel.h>
#include <weft/parallel/trainer.h>
#include <weft/weft.h>

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>

using namespace weft;

namespace {

constexpr int64_t size = 48, classes = 4;  // background, disc, square, triangle

struct Batch {
  Tensor image, mask;  // f32 [N, 3, H, W], i64 [N, H, W]
};

int shape_at(int kind, double x, double y, double r) {
  const bool inside = kind == 1   ? x * x + y * y < r * r
                      : kind == 2 ? std::max(std::fabs(x), std::fabs(y)) < 0.85 * r
                                  : y < 0.7 * r && y > std::fabs(x) * 1.7 - r;
  return inside ? kind : 0;
}

// Three shapes of random place, size and colour on a noisy ground; later ones hide earlier ones.
Batch make_batch(int64_t n, std::mt19937& random) {
  std::uniform_real_distribution<float> unit(0, 1);
  std::vector<float> image(static_cast<size_t>(n * 3 * size * size));
  std::vector<int64_t> mask(static_cast<size_t>(n * size * size));
  for (int64_t k = 0; k < n; ++k) {
    struct Shape {
      int kind;
      float x, y, r, colour[3];
    } shapes[3];
    for (Shape& s : shapes) {
      s = {1 + static_cast<int>(unit(random) * 3),
           8 + 32 * unit(random),
           8 + 32 * unit(random),
           6 + 7 * unit(random),
           {}};
      for (int c = 0; c < 3; ++c)
        s.colour[c] = 0.7f * unit(random) + (c == s.kind - 1 ? 0.3f : 0.f);  // a hint, no more
    }
    for (int64_t y = 0; y < size; ++y)
      for (int64_t x = 0; x < size; ++x) {
        float colour[3] = {0.5f, 0.5f, 0.5f};
        int64_t& label = mask[static_cast<size_t>((k * size + y) * size + x)];
        for (const Shape& s : shapes)
          if (const int kind = shape_at(s.kind, static_cast<double>(x) - s.x, static_cast<double>(y) - s.y, s.r)) {
            label = kind;
            std::copy(s.colour, s.colour + 3, colour);
          }
        for (int64_t c = 0; c < 3; ++c)
          image[static_cast<size_t>(((k * 3 + c) * size + y) * size + x)] = colour[c] + 0.25f * (unit(random) - 0.5f);
      }
  }
  return {tensor(image, {n, 3, size, size}), tensor(mask, {n, size, size})};
}

struct Block : nn::Module {
  nn::Conv2d conv;
  nn::BatchNorm2d norm;
  WEFT_MEMBERS(conv, norm)
  Block(int64_t in, int64_t out, int64_t dilation = 1)
      : conv(in, out, {.kernel = 3, .padding = dilation, .dilation = dilation, .bias = false}),
        norm(out, {.relu = true, .sync = true}) {}
  Tensor forward(const Tensor& x) const { return norm(conv(x)); }
};

// Half resolution in the middle, a skip across it.
struct Net : nn::Module {
  Block first{3, 16}, second{16, 32}, wide{32, 32, 2}, wider{32, 32, 4}, widest{32, 32, 6}, last{48, 16};
  nn::Conv2d head{16, classes, {.kernel = 1}};
  WEFT_MEMBERS(first, second, wide, wider, widest, last, head)
  Tensor forward(const Tensor& x) const {
    const Tensor fine = first.forward(x);                                        // [N, 16, H, W]
    const Tensor coarse = second.forward(max_pool2d(fine, {.kernel = 2}));       // [N, 32, H/2, W/2]
    const Tensor context = widest.forward(wider.forward(wide.forward(coarse)));  // [N, 32, H/2, W/2]
    const Tensor up = resize(context, Pair(x.size(2), x.size(3)));               // [N, 32, H, W]
    return head(last.forward(concat({fine, up}, 1)));                            // [N, classes, H, W]
  }
};

// Mean over classes of intersection over union, and the part of pixels that are right.
struct Score {
  double miou, accuracy;
};
Score score(const std::vector<int64_t>& seen, const std::vector<int64_t>& truth) {
  double both[classes] = {}, either[classes] = {}, right = 0;
  for (size_t i = 0; i < seen.size(); ++i) {
    right += seen[i] == truth[i];
    for (int64_t c = 0; c < classes; ++c) {
      both[c] += seen[i] == c && truth[i] == c;
      either[c] += seen[i] == c || truth[i] == c;
    }
  }
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += either[c] > 0 ? both[c] / either[c] : 1;
  return {sum / classes, right / static_cast<double>(seen.size())};
}

// Truth and prediction side by side: colours on a terminal, letters elsewhere.
void show(const int64_t* truth, const int64_t* seen) {
  const bool colours = isatty(STDOUT_FILENO) != 0;
  std::printf("\n%-50sprediction\n", "truth");
  for (int64_t y = 0; y < size; y += 2) {
    for (const int64_t* labels : {truth, seen}) {
      for (int64_t x = 0; x < size; ++x) {
        const int64_t label = labels[y * size + x];
        if (colours)
          std::printf("\033[48;5;%dm ", label == 0 ? 236 : label == 1 ? 160 : label == 2 ? 34 : 33);
        else
          std::putchar(".OH^"[label]);
      }
      std::printf(colours ? "\033[0m  " : "  ");
    }
    std::putchar('\n');
  }
}

void progress(int step, int steps, double loss, double seconds) {
  if (isatty(STDOUT_FILENO)) {
    const int width = 40, done = width * step / steps;
    std::printf("\r[%.*s%*s] %3d/%d  loss %.3f  %4.1f s ", done, "########################################",
                width - done, "", step, steps, loss, seconds);
    if (step == steps) std::putchar('\n');
  } else if (step == 1 || step % 20 == 0 || step == steps) {
    std::printf("step %3d  loss %.3f  %5.1f s\n", step, loss, seconds);
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 200;
  std::vector<Device> devices;
  for (int i = 2; i < argc; ++i) devices.emplace_back(argv[i]);
  if (devices.empty()) devices = available_devices();
  seed(1);
  std::mt19937 random(1);

  Net net;
  parallel::DataParallelModel model(net, devices);
  parallel::DataParallelCriterion criterion(nn::SoftmaxCrossEntropyLoss(), devices);
  parallel::Trainer trainer(net.parameters(), nn::optim::AdamW({.lr = 0.01, .weight_decay = 1e-4}));
  std::printf("%s\n", to_string(model).c_str());

  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  for (int step = 1; step <= steps; ++step) {
    const Batch batch = make_batch(16, random);
    trainer.set_learning_rate(0.01 * std::pow(1 - static_cast<double>(step - 1) / steps, 0.9));
    PerDevice<Tensor> losses;
    {
      autograd::Record record;
      losses = criterion(model(batch.image), batch.mask);
    }
    parallel::parallel_backward(losses);
    trainer.step();
    progress(step, steps, parallel::total(losses), elapsed());
  }

  const Batch unseen = make_batch(64, random);
  const Tensor logits = parallel::gather(model(unseen.image), "cpu");  // [64, classes, H, W]
  const auto seen = argmax(logits, 1).to_vector<int64_t>(), truth = unseen.mask.to_vector<int64_t>();
  show(truth.data(), seen.data());
  const Score result = score(seen, truth);
  std::printf("\n64 unseen pictures: mIoU %.3f  pixAcc %.3f  (%.1f s on", result.miou, result.accuracy, elapsed());
  for (const Device device : devices) std::printf(" %s", to_string(device).c_str());
  std::printf(")\n");
}
