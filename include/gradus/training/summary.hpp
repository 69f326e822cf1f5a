// training/summary.hpp   A model as a table: its layers, their output shapes, parameters and multiply-adds.
//     layer             type       output         parameters        MACs
//     conv1             Conv2d     1x32x32x16            432     442,368
//     ...
//     total                                          272,474  41,214,080
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "gradus/core/shape.hpp"

namespace gradus::inline GRADUS_ABI {

struct SummaryRow {
    std::string name, type;
    Shape output;
    Index parameters = 0, macs = 0;
};

// 1234567 -> "1,234,567"
inline std::string with_separators(Index number) {
    std::string digits = std::to_string(number);
    const std::size_t first = digits[0] == '-' ? 1 : 0;
    for (std::size_t i = digits.size(); i > first + 3; i -= 3) digits.insert(i - 3, 1, ',');
    return digits;
}

// {1, 32, 32, 16} -> "1x32x32x16"
inline std::string extents_text(const Shape& shape) {
    std::string out;
    for (const Index extent : shape) out += (out.empty() ? "" : "x") + std::to_string(extent);
    return out;
}

// Aligned columns, a line for each row and one for the totals. Layers without parameters or multiply-adds show no 0.
GRADUS_COLD inline std::string summary_table(const std::vector<SummaryRow>& rows) {
    using Line = std::array<std::string, 5>;
    const auto number = [](Index n) { return n == 0 ? std::string() : with_separators(n); };
    std::vector<Line> lines = {{"layer", "type", "output", "parameters", "MACs"}};
    Index parameters = 0, macs = 0;
    for (const SummaryRow& row : rows) {
        lines.push_back({row.name, row.type, extents_text(row.output), number(row.parameters), number(row.macs)});
        parameters += row.parameters;
        macs += row.macs;
    }
    lines.push_back({"total", "", "", with_separators(parameters), with_separators(macs)});

    std::array<std::size_t, 5> widths{};
    for (const Line& line : lines)
        for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());

    std::string table;
    for (const Line& line : lines) {
        for (std::size_t c = 0; c < line.size(); ++c) {
            const std::string padding(widths[c] - line[c].size(), ' ');
            const bool is_number = c >= 3;  // numbers are aligned at the right
            table += (c > 0 ? "  " : "") + (is_number ? padding + line[c] : line[c] + padding);
        }
        table.erase(table.find_last_not_of(' ') + 1);
        table += '\n';
    }
    return table;
}

}  // namespace gradus::inline GRADUS_ABI
