// What the simulator says: each misuse once, with names for addresses of code.
#pragma once

#include <string>

namespace weft::sim {

/// Reports `text` unless something was reported under `key` since the last take_reports().
void report_once(const std::string& key, const std::string& text);
/// For places that are reached often: whether report_once(key, …) would be silent.
bool already_reported(const std::string& key);
void clear_reports();

/// The function that starts at or contains `address`, without its parameters.
std::string function_name(const void* address);
/// "relu_kernel (relu.cu:17)" for the call that returns to `return_address`.
std::string code_place(const void* return_address);

}  // namespace weft::sim
