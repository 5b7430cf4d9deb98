// The text of the error that an action throws.
#pragma once

#include <string>

#include "weft/tensor/error.h"

namespace weft::test {

template <class F>
std::string text_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace weft::test
