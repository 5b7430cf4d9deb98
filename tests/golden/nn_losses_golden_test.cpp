// Against PyTorch: cases/nn_losses.py.
#include <doctest/doctest.h>

#include "tests/support/golden.h"
#include "weft/nn/loss.h"
#include "weft/nn/segmentation_loss.h"
#include "weft/tensor/operators.h"

using namespace weft;
using namespace weft::test;

namespace {

Tensor on_host(const Golden& golden, const std::string& what) {
  return golden.has(what) ? golden.tensor(what).to(Device()) : Tensor();
}

template <class Loss, class Options>
Function with_weights(Options options) {
  return [options](const Tensors& x, const Golden& golden) {
    Options all = options;
    all.weights = on_host(golden, "weights");
    return Loss(all)(x[0], x[1]);
  };
}

template <class Loss>
Function plain(Loss loss) {
  return [loss](const Tensors& x, const Golden&) { return loss(x[0], x[1]); };
}

// The target is a constant: its gradient, which PyTorch was not asked for either, is zero.
template <class Loss>
Function constant_target(Loss loss) {
  return [loss](const Tensors& x, const Golden&) { return loss(x[0], x[1].detach()) + x[1].sum() * 0; };
}

}  // namespace

TEST_CASE("golden: loss modules") {
  const Function nll = with_weights<nn::NLLLoss>(nn::NLLLossOptions{});
  const Function smoothing =
      with_weights<nn::SoftmaxCrossEntropyLoss>(nn::CrossEntropyLossOptions{.label_smoothing = 0.2});
  check_file("nn_losses",
             {{"nll", nll},
              {"nll_weights", nll},
              {"smoothing", smoothing},
              {"smoothing_weights", smoothing},
              {"bce", constant_target(nn::BCEWithLogitsLoss())},
              {"bce_positive",
               [](const Tensors& x, const Golden& golden) {
                 const nn::BCEWithLogitsLoss loss({.positive_weights = on_host(golden, "positive")});
                 return loss(x[0], x[1].detach()) + x[1].sum() * 0;
               }},
              {"kl", constant_target(nn::KLDivLoss())},
              {"l1", plain(nn::L1Loss())},
              {"mse", plain(nn::MSELoss())},
              {"smooth_l1", plain(nn::SmoothL1Loss())},
              {"smooth_l1_beta", plain(nn::SmoothL1Loss(0.4))},
              {"focal", plain(nn::FocalLoss())},
              {"focal_weights", with_weights<nn::FocalLoss>(nn::FocalLossOptions{.gamma = 1.5})},
              {"dice", plain(nn::DiceLoss())},
              {"dice_sharp", plain(nn::DiceLoss({.smooth = 0.01}))},
              {"ohem", plain(nn::OHEMLoss({.threshold = 0.1, .min_keep = 3}))},
              {"ohem_weights", with_weights<nn::OHEMLoss>(nn::OHEMLossOptions{.threshold = 0.3, .min_keep = 1})}});
}
