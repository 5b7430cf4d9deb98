// The kernels that call a library (oneDNN, Eigen): compiled once, since the library chooses the instruction set itself.
#pragma once

namespace weft::cpu {

/// Plugs the CPU's matmul_kernel and conv2d_kernel.
void plug_libraries();

}  // namespace weft::cpu
