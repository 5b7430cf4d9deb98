// A chart of two curves over the step as SVG: the first with its scale on the left, the second from 0 to 1 on the
// right.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace segmentation {

struct Curve {
  std::string name, color;
  std::vector<std::pair<double, double>> points;  // step and value; values that are not finite are left out
};

namespace chart_detail {

constexpr double width = 720, height = 400, left = 60, right = 60, top = 30, bottom = 40;

inline std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}
inline std::string label(double x, double y, const char* anchor, const std::string& color, const std::string& text) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\" fill=\"" + color +
         "\">" + text + "</text>\n";
}
inline std::string line(double x0, double y0, double x1, double y1) {
  return "<path d=\"M" + number(x0) + " " + number(y0) + "L" + number(x1) + " " + number(y1) + "\" stroke=\"#ddd\"/>\n";
}
// 1, 2 or 5 times a power of ten, at least `value`.
inline double round_up(double value) {
  if (!(value > 0)) return 1;
  const double power = std::pow(10, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (value <= factor * power) return factor * power;
  return 10 * power;
}
inline double x_of(double step, double most) { return left + step / most * (width - left - right); }
inline double y_of(double part) { return height - bottom - part * (height - top - bottom); }

inline std::string drawn(const Curve& curve, double most_step, double most_value) {
  std::string points, dots;
  for (const auto& [step, value] : curve.points) {
    if (!std::isfinite(value)) continue;
    const std::string x = number(x_of(step, most_step)), y = number(y_of(value / most_value));
    points += x + "," + y + " ";
    if (curve.points.size() <= 60)
      dots += "<circle cx=\"" + x + "\" cy=\"" + y + "\" r=\"2.5\" fill=\"" + curve.color + "\"/>\n";
  }
  return "<polyline fill=\"none\" stroke=\"" + curve.color + "\" stroke-width=\"1.5\" points=\"" + points + "\"/>\n" +
         dots;
}

}  // namespace chart_detail

inline std::string chart(const Curve& first, const Curve& second) {
  using namespace chart_detail;
  double most_step = 1, most_value = 0;
  for (const Curve* curve : {&first, &second})
    for (const auto& point : curve->points) most_step = std::max(most_step, point.first);
  for (const auto& point : first.points)
    if (std::isfinite(point.second)) most_value = std::max(most_value, point.second);
  most_value = round_up(most_value);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(width) + "\" height=\"" +
                    number(height) + "\" font-family=\"sans-serif\" font-size=\"12\">\n" +
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (int tick = 0; tick <= 5; ++tick) {
    const double part = tick / 5.0, y = y_of(part), x = x_of(part * most_step, most_step);
    svg += line(left, y, width - right, y);
    svg += label(left - 6, y + 4, "end", first.color, number(part * most_value));
    svg += label(width - right + 6, y + 4, "start", second.color, number(part));
    svg += label(x, height - bottom + 18, "middle", "#444", number(std::round(part * most_step)));
  }
  svg += label(left, top - 12, "start", first.color, first.name);
  svg += label(width - right, top - 12, "end", second.color, second.name);
  svg += label(width / 2, height - 6, "middle", "#444", "step");
  return svg + drawn(first, most_step, most_value) + drawn(second, most_step, 1) + "</svg>\n";
}

}  // namespace segmentation
