#include "weft/cuda/nvtx.h"

#if __has_include(<nvtx3/nvToolsExt.h>)  // a part of the toolkit that may be left out
#include <nvtx3/nvToolsExt.h>
#define WEFT_HAS_NVTX 1
#else
#define WEFT_HAS_NVTX 0
#endif

#include <cstdlib>
#include <string_view>

#include "weft/tensor/profile_scope.h"

namespace weft::cuda {

#if WEFT_HAS_NVTX
namespace {
constexpr weft::detail::RangeDisplay nvtx{
    .push = [](const char* name) noexcept { static_cast<void>(nvtxRangePushA(name)); },
    .pop = []() noexcept { static_cast<void>(nvtxRangePop()); },
};
}  // namespace

void register_nvtx() noexcept {
  const char* wish = std::getenv("WEFT_NVTX");
  weft::detail::register_range_display(nvtx, wish && std::string_view(wish) == "1");
}
#else
void register_nvtx() noexcept {}
#endif

}  // namespace weft::cuda
