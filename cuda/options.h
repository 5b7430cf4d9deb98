// How the CUDA backend computes, where there is a choice. For all threads; what is running is not affected.
#pragma once

namespace weft::cuda {

/// Convolutions by weft's own plain kernels: a reference, many times slower than cuDNN. Off at first.
bool plain_convolution() noexcept;
void set_plain_convolution(bool plain) noexcept;

}  // namespace weft::cuda
