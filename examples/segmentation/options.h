// Command lines: options that a checkpoint keeps, and lists of devices.
#pragma once

#include <weft/tensor/device.h>
#include <weft/tensor/error.h>

#include <CLI/CLI.hpp>

#include <charconv>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "net.h"

namespace segmentation {

// Numbers as short as they can be and still exact.
template <class T>
std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else {
    char buffer[40];
    return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
  }
}

// "name=value" lines to a value by name; empty if there is none.
inline std::string setting_in(const std::string& text, const std::string& name) {
  const std::string lines = "\n" + text, key = "\n" + name + "=";
  const size_t at = lines.find(key);
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size();
  return lines.substr(begin, lines.find('\n', begin) - begin);
}

// Options whose values belong to a training: they go into its checkpoints and come back from them.
class Settings {
 public:
  explicit Settings(CLI::App& app) : app_(app) {}

  // `free`: a resumed training may have another value than the one that was stopped.
  template <class T>
  CLI::Option* add(const std::string& name, T& variable, const std::string& help, bool free = false) {
    CLI::Option* option = nullptr;
    if constexpr (std::is_same_v<T, bool>)
      option = app_.add_flag("--" + name, variable, help);
    else
      option = app_.add_option("--" + name, variable, help)->capture_default_str();
    entries_.push_back({name, option, [&variable] { return text_of(variable); }, free});
    return option;
  }
  std::string text() const {
    std::string lines;
    for (const Entry& entry : entries_) lines += entry.name + "=" + entry.value() + "\n";
    return lines;
  }
  // Takes what the command line did not give from text() of an earlier run. Throws Error where it gave something else.
  void restore(const std::string& text) {
    for (const Entry& entry : entries_) {
      const std::string before = setting_in(text, entry.name);
      if (entry.option->count() == 0) {
        if (before.empty()) continue;
        entry.option->add_result(before);
        entry.option->run_callback();
      } else if (!entry.free && entry.value() != before) {
        fail("train: --", entry.name, " is ", entry.value(), ", but the checkpoint's training has ", before,
             "; leave the option out, or start anew without --resume");
      }
    }
  }

 private:
  struct Entry {
    std::string name;
    CLI::Option* option;
    std::function<std::string()> value;
    bool free;
  };
  CLI::App& app_;
  std::vector<Entry> entries_;
};

// The options that say which net it is.
inline void add_net(Settings& settings, NetOptions& net) {
  settings.add("model", net.model, "the net")->check(CLI::IsMember({"unet", "fcn", "psp", "deeplab"}));
  settings.add("backbone", net.backbone, "of fcn, psp and deeplab")
      ->check(CLI::IsMember({"resnet18", "resnet34", "resnet50", "resnet101", "resnet152"}));
  settings.add("variant", net.variant, "of the ResNet; v1b is torchvision's")
      ->check(CLI::IsMember({"v1b", "v1c", "v1s", "v1d"}));
  settings.add("classes", net.classes, "number of classes; 0: what the data set says")->check(CLI::Range(0, 255));
}

inline NetOptions net_in(const std::string& text, const NetOptions& otherwise) {
  if (text.empty()) return otherwise;
  NetOptions net;
  net.model = setting_in(text, "model");
  net.backbone = setting_in(text, "backbone");
  net.variant = setting_in(text, "variant");
  net.classes = std::stoll(setting_in(text, "classes"));
  return net;
}

// The names given, or every GPU, or two devices of the CPU.
inline std::vector<Device> devices_of(const std::vector<std::string>& names) {
  std::vector<Device> devices(names.begin(), names.end());
  if (devices.empty()) devices = available_devices();
  if (names.empty() && devices.front().is_cpu()) devices = {Device("cpu:0"), Device("cpu:1")};
  return devices;
}

// Parses and runs; the exit code of the program.
template <class Run>
int run_program(CLI::App& app, int argc, char** argv, const Run& run) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  try {
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

}  // namespace segmentation
