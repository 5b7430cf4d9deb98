// The operation whose pullback this thread runs, for error texts. Private to autograd/.
#pragma once

namespace weft::autograd {

/// "" outside a backward pass.
const char*& running_operation() noexcept;

}  // namespace weft::autograd
