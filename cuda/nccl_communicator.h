// NCCL behind weft::Communicator.
#pragma once

namespace weft::cuda {

/// Called once, by load(), after the backend is registered. WEFT_NCCL=0 in the environment leaves collectives to copies
/// and additions, as in a build without NCCL.
void register_nccl();

}  // namespace weft::cuda
