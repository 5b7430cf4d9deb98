// Products and convolutions by Eigen, one core's part at a time: f32 and f64.
#pragma once

#include "weft/tensor/ops/conv2d.h"
#include "weft/tensor/ops/matmul.h"

namespace weft::cpu {

/// Results do not depend on the number of threads.
void eigen_matmul(const MatmulArgs& args);
/// By a matrix of the pixels under each filter position (im2col), a piece of the image at a time. A ReLU is left to the
/// caller.
void eigen_conv2d(const Conv2dArgs& args, Stream stream);

}  // namespace weft::cpu
