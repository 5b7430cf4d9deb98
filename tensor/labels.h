// Labels: integers that say of which class a position is.
#pragma once

#include "weft/tensor/dtype.h"

namespace weft {

/// The label that does not count as labels of `dtype` hold it: -1 is 255 in u8, as files of labels have it, unless 255
/// is a class.
inline int64_t ignored_label(int64_t label, DType dtype, int64_t classes) {
  return label == -1 && dtype == DType::u8 && classes <= 255 ? 255 : label;
}

}  // namespace weft
