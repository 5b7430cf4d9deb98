// Eigen's view of our memory. Included by the baseline's eigen_*.cpp only: compiled for a newer instruction set,
// Eigen's functions could end up in everybody's program.
#pragma once

#define EIGEN_DONT_PARALLELIZE
#define EIGEN_MPL2_ONLY
#include <Eigen/Core>

#include "weft/tensor/dtype.h"

namespace weft::cpu::eigen {

/// Multiplications worth some 10 us: what a thread is given at least.
inline constexpr int64_t grain = 100'000;

/// Distance between rows (of Matrix) or between columns (of Transposed), in elements.
using Stride = Eigen::OuterStride<>;

template <class T, int order>
using Map =
    Eigen::Map<std::conditional_t<std::is_const_v<T>,
                                  const Eigen::Matrix<std::remove_const_t<T>, Eigen::Dynamic, Eigen::Dynamic, order>,
                                  Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, order>>,
               Eigen::Unaligned, Stride>;

/// A matrix whose rows are dense in memory, and one whose columns are.
template <class T>
using Matrix = Map<T, Eigen::RowMajor>;
template <class T>
using Transposed = Map<T, Eigen::ColMajor>;

}  // namespace weft::cpu::eigen
