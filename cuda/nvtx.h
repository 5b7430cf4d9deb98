// NVTX: the scopes of threads (operations, copies, passes, ranges) as ranges that NVIDIA's tools show.
#pragma once

namespace weft::cuda {

/// Profiles with nvtx = true show their scopes from now on; with WEFT_NVTX=1 in the environment all scopes are shown.
/// No tool, no work: NVTX is header-only and calls what a tool has injected into the process.
void register_nvtx() noexcept;

}  // namespace weft::cuda
