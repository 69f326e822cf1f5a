// training/report_chart.hpp   Lines over epochs, as inline SVG: thin axes, ticks at round numbers, and names that stand
// at the lines' ends instead of in a legend. Colours come from the page's style sheet, by the name of the line.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gradus/core/sort.hpp"
#include "gradus/training/report_text.hpp"

namespace gradus::inline GRADUS_ABI {

struct ChartLine {
    std::string name;   // also the class of the style sheet: "train", "test", "rate"
    std::string label;  // stands at the end of the line
    std::vector<double> x, y;
};

struct Chart {
    std::string title;
    std::vector<ChartLine> lines;
    double x_low = 1, x_high = 2;
    bool from_zero = false;                               // the y axis begins at 0
    double y_limit = std::numeric_limits<double>::max();  // which y cannot pass: 100, for percentages
    double y_step = 0;                                    // at least, from number to number: 1, for whole things
    std::string prefix, unit;                             // before and after the numbers of the y axis
    std::vector<std::string> notes;  // shown over the chart's columns: one for each x of the first line
};

// Round numbers, a step of 1, 2 or 5 times a power of ten apart: from the last one not above `low` to the first one not
// below `high`, in the smallest step that needs no more than `count` intervals.
GRADUS_COLD inline std::vector<double> nice_ticks(double low, double high, int count, double smallest_step = 0) {
    if (!(high > low)) high = low + (low == 0 ? 1 : std::fabs(low) * 0.1);
    double power = std::pow(10.0, std::floor(std::log10((high - low) / count)));
    double step = power;
    for (const double factor : {1.0, 2.0, 5.0, 10.0, 20.0}) {
        step = factor * power;
        const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
        if (last - first <= count && step >= smallest_step) break;
    }
    std::vector<double> ticks;
    const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
    for (double i = first; i <= last; ++i) ticks.push_back(i * step);
    return ticks;
}

// The tick's number, with the decimals that its step needs.
inline std::string tick_label(double value, double step) {
    const int digits = static_cast<int>(std::clamp(std::ceil(-std::log10(step) - 1e-9), 0.0, 8.0));
    return decimals(value, digits);
}

class ChartDrawing {
public:
    explicit ChartDrawing(const Chart& chart) : chart_(chart) {
        double low = std::numeric_limits<double>::max(), high = std::numeric_limits<double>::lowest();
        for (const ChartLine& line : chart.lines)
            for (const double y : line.y) {
                if (!std::isfinite(y)) continue;
                low = std::min(low, y);
                high = std::max(high, y);
            }
        if (low > high) low = high = 0;  // nothing to show
        if (low == high && high >= chart.y_limit) low = high - 1;
        if (chart.from_zero) low = std::min(low, 0.0);
        y_ticks_ = nice_ticks(low, high, 5, chart.y_step);
        while (y_ticks_.size() > 2 && y_ticks_.back() > chart.y_limit) y_ticks_.pop_back();
        x_low_ = chart.x_low;
        x_high_ = chart.x_high > chart.x_low ? chart.x_high : chart.x_low + 1;
    }

    std::string svg() const {
        std::string out = text("<svg class=\"chart\" viewBox=\"0 0 ", width, " ", height,
                               "\" role=\"img\" aria-label=\"", escape_html(chart_.title), "\">\n");
        draw_axes(out);
        for (const ChartLine& line : chart_.lines) draw_line(out, line);
        draw_labels(out);
        draw_notes(out);
        return out + "</svg>\n";
    }

private:
    static constexpr int width = 460, height = 250;
    static constexpr double left = 46, right = 92, top = 14, bottom = 36;

    double x(double value) const { return left + (value - x_low_) / (x_high_ - x_low_) * (width - left - right); }
    double y(double value) const {
        const double share = (value - y_ticks_.front()) / (y_ticks_.back() - y_ticks_.front());
        return height - bottom - share * (height - top - bottom);
    }

    GRADUS_COLD void draw_axes(std::string& out) const {
        const double step = y_ticks_[1] - y_ticks_[0];
        for (const double tick : y_ticks_) {
            const std::string at = coordinate(y(tick));
            const char* kind = tick == y_ticks_.front() ? "axis" : "grid";
            out +=
                text("<path class=\"", kind, "\" d=\"M", left, " ", at, "H", width - right,
                     "\"/><text class=\"tick\" x=\"", left - 8, "\" y=\"", at, "\" dy=\".35em\" text-anchor=\"end\">",
                     chart_.prefix, tick_label(tick, step), chart_.unit, "</text>\n");
        }
        const std::vector<double> x_ticks = nice_ticks(x_low_, x_high_, 6, 1);
        for (const double tick : x_ticks) {
            if (tick < x_low_ || tick > x_high_) continue;
            const std::string at = coordinate(x(tick));
            out +=
                text("<path class=\"axis\" d=\"M", at, " ", height - bottom, "v4\"/><text class=\"tick\" x=\"", at,
                     "\" y=\"", height - bottom + 17, "\" text-anchor=\"middle\">", tick_label(tick, 1), "</text>\n");
        }
        out +=
            text("<text class=\"tick\" x=\"", width - right + 22, "\" y=\"", height - bottom + 17, "\">epoch</text>\n");
    }

    // A value that is not a number interrupts the line. A value alone between two such is a dot.
    GRADUS_COLD void draw_line(std::string& out, const ChartLine& line) const {
        std::string path;
        bool pen_is_down = false;
        for (std::size_t i = 0; i < line.y.size(); ++i) {
            const bool is_number = std::isfinite(line.y[i]);
            if (is_number)
                path += text(pen_is_down ? "L" : "M", coordinate(x(line.x[i])), " ", coordinate(y(line.y[i])));
            const bool next_is_number = i + 1 < line.y.size() && std::isfinite(line.y[i + 1]);
            if (is_number && !pen_is_down && !next_is_number)
                out += text("<circle class=\"dot ", line.name, "\" cx=\"", coordinate(x(line.x[i])), "\" cy=\"",
                            coordinate(y(line.y[i])), "\" r=\"3\"/>\n");
            pen_is_down = is_number;
        }
        if (!path.empty()) out += "<path class=\"line " + line.name + "\" d=\"" + path + "\"/>\n";
    }

    // At the last point of each line, moved apart where they would lie on each other.
    GRADUS_COLD void draw_labels(std::string& out) const {
        struct Label {
            const ChartLine* line;
            double x, y;
        };
        std::vector<Label> labels;
        for (const ChartLine& line : chart_.lines) {
            std::size_t last = line.y.size();
            while (last > 0 && !std::isfinite(line.y[last - 1])) --last;
            if (last > 0) labels.push_back({&line, x(line.x[last - 1]), y(line.y[last - 1])});
        }
        sort_stably(labels, [](const Label& a, const Label& b) { return a.y < b.y; });
        const double distance = 17;
        for (std::size_t i = 1; i < labels.size(); ++i) {
            const double missing = labels[i - 1].y + distance - labels[i].y;
            if (missing <= 0) continue;
            labels[i - 1].y -= missing / 2;
            labels[i].y += missing / 2;
        }
        const double lowest = height - bottom - 4;
        const double excess = labels.empty() ? 0 : std::max(0.0, labels.back().y - lowest);
        for (const Label& label : labels)
            out += text("<text class=\"label ", label.line->name, "\" x=\"", coordinate(label.x + 8), "\" y=\"",
                        coordinate(label.y - excess), "\" dy=\".35em\">", escape_html(label.line->label), "</text>\n");
    }

    // A transparent column around each x, which shows its note when the pointer is over it.
    void draw_notes(std::string& out) const {
        for (std::size_t i = 0; i < chart_.notes.size(); ++i) {
            const std::vector<double>& xs = chart_.lines[0].x;
            const double half = (width - left - right) / (x_high_ - x_low_) / 2;
            const double begin = std::max(left, x(xs[i]) - half), end = std::min(width - right, x(xs[i]) + half);
            out += text("<rect class=\"note\" x=\"", coordinate(begin), "\" y=\"", top, "\" width=\"",
                        coordinate(end - begin), "\" height=\"", height - top - bottom, "\"><title>",
                        escape_html(chart_.notes[i]), "</title></rect>\n");
        }
    }

    const Chart& chart_;
    std::vector<double> y_ticks_;
    double x_low_, x_high_;
};

GRADUS_COLD inline std::string draw_chart(const Chart& chart) { return ChartDrawing(chart).svg(); }

}  // namespace gradus::inline GRADUS_ABI
