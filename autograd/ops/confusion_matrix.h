// Confusion matrix of class predictions.
#pragma once

#include "weft/tensor/tensor.h"

namespace weft {

/// i64 [classes, classes] on the device of the labels: element (l, p) counts the positions with label l where p was
/// predicted. predictions and labels have one shape and are i64, i32 or u8; positions with the ignored label do not
/// count. Exact, never recorded; matrices of parts of a data set add up. ShapeError, DtypeError, DeviceError; a number
/// that is no class is an IndexError on the CPU, and one at the next synchronisation on CUDA.
Tensor confusion_matrix(const Tensor& predictions, const Tensor& labels, int64_t classes, int64_t ignore_label = -1);

}  // namespace weft
