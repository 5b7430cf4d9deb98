#include "weft/tensor/untold.h"

namespace weft::detail {

namespace {
constinit thread_local int scopes = 0, scopes_of_all = 0;
}

UntoldScope::UntoldScope(Caught caught) noexcept : caught_(caught) {
  ++scopes;
  if (caught_ == Caught::all) ++scopes_of_all;
}
UntoldScope::~UntoldScope() {
  --scopes;
  if (caught_ == Caught::all) --scopes_of_all;
}
bool is_untold(Caught errors) noexcept { return (errors == Caught::all ? scopes_of_all : scopes) > 0; }

}  // namespace weft::detail
