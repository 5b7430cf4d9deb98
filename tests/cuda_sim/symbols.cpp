// Names for addresses of code, from the debug information by addr2line; only reports ask.
#include <dlfcn.h>
#include <link.h>

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>

#include "reports.h"

namespace weft::sim {
namespace {

struct Place {
  std::string function;
  std::string file_line;
};

std::string hex(const void* address) {
  char text[32];
  std::snprintf(text, sizeof text, "%p", address);
  return text;
}

std::string first_line(FILE* pipe) {
  std::string line;
  for (int c = std::fgetc(pipe); c != EOF && c != '\n'; c = std::fgetc(pipe)) line += static_cast<char>(c);
  return line;
}

// "void weft::cuda::(anonymous namespace)::relu_kernel<float>(float*, long)" -> "relu_kernel<float>"
std::string short_name(std::string name) {
  const std::string anonymous = "(anonymous namespace)::";
  for (size_t at = name.find(anonymous); at != std::string::npos; at = name.find(anonymous)) {
    name.erase(at, anonymous.size());
  }
  int depth = 0;  // template arguments may hold spaces, colons and parentheses of their own
  size_t begin = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (depth != 0) continue;
    if (name[i] == '(') return name.substr(begin, i - begin);
    if (name[i] == ' ' || name[i] == ':') begin = i + 1;
  }
  return name.substr(begin);
}

Place look_up(const void* address) {
  Dl_info object = {};
  if (!dladdr(address, &object) || !object.dli_fname) return {hex(address), ""};
  // Programs at a fixed address have it in their file; others are numbered from 0.
  const bool fixed = static_cast<const ElfW(Ehdr)*>(object.dli_fbase)->e_type == ET_EXEC;
  const auto base = fixed ? 0 : reinterpret_cast<uintptr_t>(object.dli_fbase);
  const uintptr_t offset = reinterpret_cast<uintptr_t>(address) - base;
  char command[4096];
  std::snprintf(command, sizeof command, "addr2line -C -f -e '%s' 0x%zx 2>/dev/null", object.dli_fname,
                static_cast<size_t>(offset));
  FILE* pipe = popen(command, "r");
  if (!pipe) return {hex(address), ""};
  std::string function = first_line(pipe);
  std::string place = first_line(pipe);
  pclose(pipe);
  if (function.empty() || function[0] == '?') return {hex(address), ""};
  place = place.substr(place.find_last_of('/') + 1);
  place = place.substr(0, place.find(" (discriminator"));
  return {short_name(function), place.empty() || place[0] == '?' ? "" : place};
}

const Place& cached(const void* address) {
  static std::map<const void*, Place> places;
  auto [found, is_new] = places.try_emplace(address);
  if (is_new) found->second = look_up(address);
  return found->second;
}

}  // namespace

std::string function_name(const void* address) { return cached(address).function; }

std::string code_place(const void* return_address) {
  const Place& place = cached(static_cast<const char*>(return_address) - 1);
  return place.file_line.empty() ? place.function : place.function + " (" + place.file_line + ")";
}

}  // namespace weft::sim
