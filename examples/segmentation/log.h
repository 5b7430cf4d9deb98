// The log of a training: lines of text, a table (CSV), and a picture of the curves (SVG).
#pragma once

#include <weft/nn/data/file.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "chart.h"

namespace segmentation {

class Log {
 public:
  // Writes log.txt, log.csv and curves.svg into the folder. `earlier`: table() of the training that goes on
  // here, else empty.
  Log(const std::string& folder, const std::string& earlier) : folder_(folder) {
    parse(earlier);
    text_.open(folder + "/log.txt", earlier.empty() ? std::ios::trunc : std::ios::app);
    csv_.open(folder + "/log.csv", std::ios::trunc);
    csv_ << table() << std::flush;
    check();
  }

  // One line of text for people.
  void say(const std::string& line) {
    text_ << line << std::endl;
    check();
  }
  void loss(int64_t step, int64_t epoch, double lr, double loss, double images_per_second) {
    add({step, epoch, {lr, loss, images_per_second, none, none}});
    char line[160];
    std::snprintf(line, sizeof line, "step %lld  epoch %lld  lr %.6g  loss %.4f  %.1f images/s",
                  static_cast<long long>(step), static_cast<long long>(epoch), lr, loss, images_per_second);
    say(line);
  }
  void score(int64_t step, int64_t epoch, double accuracy, double miou) {
    add({step, epoch, {none, none, none, accuracy, miou}});
  }
  std::string table() const {
    std::string all = header;
    for (const Row& row : rows_) all += line_of(row);
    return all;
  }
  void draw() const {
    Curve loss{"loss", "#d03030", {}}, miou{"mIoU", "#2060c0", {}};
    for (const Row& row : rows_) {
      const auto step = static_cast<double>(row.step);
      if (!std::isnan(row.values[1])) loss.points.emplace_back(step, row.values[1]);
      if (!std::isnan(row.values[4])) miou.points.emplace_back(step, row.values[4]);
    }
    const std::string picture = chart(loss, miou);
    data::write_file(folder_ + "/curves.svg", {picture.begin(), picture.end()});
  }

 private:
  static constexpr double none = std::numeric_limits<double>::quiet_NaN();
  static constexpr const char* header = "step,epoch,lr,loss,images_per_s,pixacc,miou\n";
  struct Row {
    int64_t step, epoch;
    double values[5];
  };
  static std::string line_of(const Row& row) {
    std::string line = std::to_string(row.step) + "," + std::to_string(row.epoch);
    for (const double value : row.values) {
      char text[32] = "";
      if (!std::isnan(value)) std::snprintf(text, sizeof text, "%.9g", value);
      line += std::string(",") + text;
    }
    return line + "\n";
  }
  void add(const Row& row) {
    rows_.push_back(row);
    csv_ << line_of(row) << std::flush;
    check();
  }
  void parse(const std::string& earlier) {
    std::istringstream lines(earlier);
    std::string line, cell;
    std::getline(lines, line);  // the header
    while (std::getline(lines, line)) {
      std::istringstream cells(line);
      const auto next = [&] { return std::getline(cells, cell, ',') && !cell.empty(); };
      Row row{0, 0, {none, none, none, none, none}};
      if (next()) row.step = std::strtoll(cell.c_str(), nullptr, 10);
      if (next()) row.epoch = std::strtoll(cell.c_str(), nullptr, 10);
      for (double& value : row.values)
        if (next()) value = std::strtod(cell.c_str(), nullptr);
      rows_.push_back(row);
    }
  }
  void check() const {
    if (!text_ || !csv_) fail<data::FileError>("log: cannot write '", folder_, "/log.txt' or log.csv");
  }

  std::string folder_;
  std::ofstream text_, csv_;
  std::vector<Row> rows_;
};

}  // namespace segmentation
