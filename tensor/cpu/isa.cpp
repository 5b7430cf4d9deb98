// Chooses among the kernels compiled for several instruction sets.
#include <cstdlib>
#include <string_view>

#include "weft/tensor/cpu/cpu_backend.h"
#include "weft/tensor/cpu/libraries.h"
#include "weft/tensor/error.h"

namespace weft::cpu {

#if defined(__x86_64__)

void plug_v2();
void plug_v3();
void plug_v4();

namespace {

struct Set {
  const char* name;
  void (*plug)();
  bool present;
};

Set choose() {
  const bool v2 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
  const bool v3 =
      v2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  const Set sets[] = {{"v4", plug_v4, v4}, {"v3", plug_v3, v3}, {"v2", plug_v2, v2}};
  const char* asked = std::getenv("WEFT_ISA");
  if (asked && *asked) {
    for (const Set& set : sets)
      if (std::string_view(asked) == set.name && set.present) return set;
    fail<DeviceError>("WEFT_ISA: '", asked, "' is not one of v2, v3, v4 or not supported by this processor");
  }
  for (const Set& set : sets)
    if (set.present) return set;
  fail<DeviceError>("cpu: this processor lacks SSE 4.2; weft needs x86-64-v2");
}

const Set& chosen() {
  static const Set set = choose();
  return set;
}

}  // namespace

void plug_kernels() { chosen().plug(); }
const char* instruction_set() { return chosen().name; }

#else

void plug_base();
void plug_kernels() { plug_base(); }
const char* instruction_set() { return "base"; }

#endif

void register_backend();

void load() {
  register_backend();
  plug_kernels();
  plug_libraries();
}

}  // namespace weft::cpu
