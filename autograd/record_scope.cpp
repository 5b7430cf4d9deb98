#include "weft/autograd/record_scope.h"

namespace weft::autograd {

Mode& mode() noexcept {
  static constinit thread_local Mode instance;
  return instance;
}

}  // namespace weft::autograd
