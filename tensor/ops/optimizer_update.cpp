#include "weft/tensor/ops/optimizer_update.h"

namespace weft {

WEFT_KERNEL(SgdUpdateArgs, sgd_update_kernel);
WEFT_KERNEL(AdamUpdateArgs, adam_update_kernel);
WEFT_KERNEL(RmspropUpdateArgs, rmsprop_update_kernel);

}  // namespace weft
