#include "weft/nn/module.h"

#include <cxxabi.h>

#include <cstdlib>
#include <ostream>
#include <typeinfo>

namespace weft::nn {

std::string MemberList::next_name(std::string_view& names) {
  const size_t comma = names.find(',');
  std::string_view name = names.substr(0, comma);
  names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
  while (!name.empty() && (name.back() == ' ' || name.back() == '_'))
    name.remove_suffix(1);  // private members end in _
  return std::string(name);
}

void Module::list_members(MemberList&) {}

std::string Module::describe() const {
  const char* mangled = typeid(*this).name();
  int status = 0;
  char* text = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  std::string name = status == 0 ? text : mangled;
  std::free(text);
  const size_t arguments = name.find('<');
  const size_t scope = name.rfind("::", arguments);
  return scope == std::string::npos ? name : name.substr(scope + 2);
}

std::vector<Member> Module::members() const {
  MemberList list;
  const_cast<Module*>(this)->list_members(list);  // lists addresses, changes nothing
  return std::move(list.members());
}

void Module::collect(const std::string& prefix, std::vector<Parameter>* parameters,
                     std::vector<Buffer>* buffers) const {
  const auto append = [](auto& list, auto& handle, const std::string& name) {
    for (const auto& known : list)
      if (known.same(handle)) return;
    handle.set_name(name);
    list.push_back(handle);
  };
  for (const Member& member : members()) {
    const std::string name = prefix + member.name;
    if (member.parameter && parameters) append(*parameters, *member.parameter, name);
    if (member.buffer && buffers) append(*buffers, *member.buffer, name);
    if (member.module) member.module->collect(name + ".", parameters, buffers);
  }
}

std::vector<Parameter> Module::parameters() const {
  std::vector<Parameter> list;
  collect("", &list, nullptr);
  return list;
}

std::vector<Buffer> Module::buffers() const {
  std::vector<Buffer> list;
  collect("", nullptr, &list);
  return list;
}

std::vector<std::pair<std::string, Module*>> Module::children() const {
  std::vector<std::pair<std::string, Module*>> list;
  for (const Member& member : members())
    if (member.module) list.emplace_back(member.name, member.module);
  return list;
}

int64_t Module::parameter_count() const {
  int64_t count = 0;
  for (const Parameter& p : parameters()) count += p.numel();
  return count;
}

Parameter Module::parameter(std::string_view name) const {
  const std::vector<Parameter> all = parameters();
  std::string similar;
  const std::string_view last = name.substr(name.rfind('.') + 1);
  for (const Parameter& p : all) {
    if (p.name() == name) return p;
    if (similar.size() < 200 && p.name().find(last) != std::string::npos) similar += " " + p.name();
  }
  fail<IndexError>("parameter: there is no '", name, "' among ", all.size(), " parameters",
                   similar.empty() ? "" : "; similar:", similar);
}

void Module::to(std::span<const Device> devices) const {
  for (const Parameter& p : parameters()) p.to(devices);
  for (const Buffer& b : buffers()) b.to(devices);
}

void Module::to(DType dtype) const {
  for (const Parameter& p : parameters()) p.to(dtype);
  for (const Buffer& b : buffers())
    if (is_floating(b.dtype())) b.to(compute_dtype(dtype));
}

void Module::train(bool flag) {
  apply([flag](Module& module) { module.train_ = flag; });
}

void Module::apply(const std::function<void(Module&)>& f) {
  f(*this);
  for (const auto& [name, child] : children()) child->apply(f);
}

void Module::freeze(GradReq request) const {
  for (const Parameter& p : parameters()) p.set_request(request);
}

void Module::zero_grad() const {
  for (const Parameter& p : parameters()) p.zero_grad();
}

void Module::copy_from(const Module& other) const {
  const auto copy = [](const auto& mine, const auto& theirs, const char* what) {
    WEFT_CHECK(ShapeError, mine.size() == theirs.size(), "copy_from: ", mine.size(), " ", what, " here, ",
               theirs.size(), " there");
    for (size_t i = 0; i < mine.size(); ++i) {
      WEFT_CHECK(ShapeError, mine[i].name() == theirs[i].name() && mine[i].shape() == theirs[i].shape(),
                 "copy_from: ", mine[i].name(), mine[i].shape(), " here, ", theirs[i].name(), theirs[i].shape(),
                 " there");
      theirs[i].settle();
      mine[i].to(theirs[i].devices());
      mine[i].set(theirs[i].at(0).detach());
    }
  };
  copy(parameters(), other.parameters(), "parameters");
  copy(buffers(), other.buffers(), "buffers");
}

namespace {

void print(std::string& text, const Module& module, const std::string& name, int depth) {
  text.append(static_cast<size_t>(depth) * 2, ' ');
  if (!name.empty()) text += "(" + name + "): ";
  text += module.describe();
  const auto children = module.children();
  if (const int64_t count = module.parameter_count()) text += weft::detail::concat("  [", count, "]");
  if (children.empty()) {
    for (const Parameter& p : module.parameters()) text += weft::detail::concat("  ", p.name(), " ", p.shape());
    text += "\n";
    return;
  }
  text += "\n";
  for (const auto& [child_name, child] : children) print(text, *child, child_name, depth + 1);
}

}  // namespace

std::string to_string(const Module& module) {
  std::string text;
  print(text, module, "", 0);
  module.parameters();  // a child printed by itself named its parameters from its own root
  return text;
}

std::ostream& operator<<(std::ostream& out, const Module& module) { return out << to_string(module); }

}  // namespace weft::nn
