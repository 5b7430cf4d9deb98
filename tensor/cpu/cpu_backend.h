// The CPU as a device: its backend and the choice of its kernels.
#pragma once

namespace weft::cpu {

/// Registers the CPU's backend and plugs the kernels of the best instruction set this machine has (WEFT_ISA in the
/// environment chooses a lesser one: v2, v3, v4). Called once.
void load();
/// The chosen set: "v2", "v3", "v4", or "base" on other processors.
const char* instruction_set();

}  // namespace weft::cpu
