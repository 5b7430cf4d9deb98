#include "weft/parallel/errors.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <typeinfo>

#include "weft/tensor/group.h"

namespace weft {

std::string describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    const std::type_info* type = abi::__cxa_current_exception_type();
    char* name = type ? abi::__cxa_demangle(type->name(), nullptr, nullptr, nullptr) : nullptr;
    std::string text = std::string("threw a value of type ") + (name ? name : "unknown");
    std::free(name);
    return text;
  }
}

namespace {

bool is_consequence(const WorkerError& e) {
  try {
    std::rethrow_exception(e.error);
  } catch (const CommError&) {
    return true;
  } catch (...) {
    return false;
  }
}

std::string text_of(const std::vector<WorkerError>& errors, int ranks) {
  std::string text = weft::detail::concat("parallel: ", errors.size(), " of ", ranks,
                                          ranks == 1 ? " device failed." : " devices failed.");
  for (const WorkerError& e : errors) {
    text += weft::detail::concat(" ", e.device, ": ", describe(e.error));
    if (text.back() != '.') text += '.';
  }
  if (text.back() == '.') text.pop_back();
  return text;
}

std::vector<WorkerError> causes(std::vector<WorkerError> errors) {
  const auto first =
      std::stable_partition(errors.begin(), errors.end(), [](const auto& e) { return !is_consequence(e); });
  if (first != errors.begin()) errors.erase(first, errors.end());
  return errors;
}

}  // namespace

WorkerErrors::WorkerErrors(std::vector<WorkerError> errors, int ranks)
    : Error(text_of(causes(errors), ranks)), errors_(causes(std::move(errors))) {}

}  // namespace weft
