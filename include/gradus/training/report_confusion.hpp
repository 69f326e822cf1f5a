// training/report_confusion.hpp   The confusion matrix as a picture, and the pairs of classes that are confused most.
// A row is a class as it is, a column a class as it was predicted. Right answers are blue, mistakes orange, and the
// darker the larger their share of the row. Mistakes are rare: their darkness is relative to the largest of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "gradus/core/sort.hpp"
#include "gradus/training/report_text.hpp"

namespace gradus::inline GRADUS_ABI {

// counts (K, K), row by row.
struct ConfusionView {
    const std::vector<Index>& counts;
    const std::vector<std::string>& classes;

    Index size() const { return static_cast<Index>(classes.size()); }
    Index count(Index truth, Index prediction) const {
        return counts[static_cast<std::size_t>(truth * size() + prediction)];
    }
    Index row_sum(Index truth) const {
        Index sum = 0;
        for (Index k = 0; k < size(); ++k) sum += count(truth, k);
        return sum;
    }
    // Of the images of class `truth`; 0 where there are none.
    double share(Index truth, Index prediction) const {
        const Index sum = row_sum(truth);
        return sum > 0 ? static_cast<double>(count(truth, prediction)) / static_cast<double>(sum) : 0;
    }
    const std::string& name(Index k) const { return classes[static_cast<std::size_t>(k)]; }
};

GRADUS_COLD inline std::string draw_confusion(const ConfusionView& matrix) {
    const Index K = matrix.size();
    // Up to 12 classes there is room for large cells, up to 100 the counts still fit in.
    const double cell = K <= 12 ? 46 : K <= 30 ? 28 : 13;
    const double count_size = K <= 12 ? 13 : K <= 30 ? 10 : 6.5, name_size = K <= 30 ? 13 : 9.5;
    const Index name_limit = 18;
    Index longest = 0;
    for (const std::string& name : matrix.classes) longest = std::max(longest, std::min(name_limit, text_length(name)));
    const double names =
        0.58 * name_size * static_cast<double>(longest) + 14;  // a letter is about 0.58 of its size wide
    const bool is_upright = longest <= 2 && K <= 30;           // column names that need no turning
    const double left = names, top = is_upright ? 26 : names;
    const double side = cell * static_cast<double>(K), width = left + side + 60, height = top + side + 2;

    double largest_mistake = 0.1;  // so that single mistakes stay pale where there are only few
    for (Index t = 0; t < K; ++t)
        for (Index p = 0; p < K; ++p)
            if (t != p) largest_mistake = std::max(largest_mistake, matrix.share(t, p));

    std::string out = text("<svg class=\"confusion\" viewBox=\"0 0 ", coordinate(width), " ", coordinate(height),
                           "\" width=\"", coordinate(width), "\" height=\"", coordinate(height),
                           "\" role=\"img\" aria-label=\"confusion matrix\">\n");
    for (Index k = 0; k < K; ++k) {
        const std::string name = escape_html(shorten(matrix.name(k), name_limit));
        const double middle = (static_cast<double>(k) + 0.5) * cell;
        out += text("<text class=\"name\" font-size=\"", name_size, "\" x=\"", coordinate(left - 8), "\" y=\"",
                    coordinate(top + middle), "\" dy=\".35em\" text-anchor=\"end\">", name, "</text>");
        if (is_upright)
            out += text("<text class=\"name\" font-size=\"", name_size, "\" x=\"", coordinate(left + middle), "\" y=\"",
                        coordinate(top - 9), "\" text-anchor=\"middle\">", name, "</text>");
        else
            out += text("<text class=\"name\" font-size=\"", name_size, "\" dy=\".35em\" transform=\"translate(",
                        coordinate(left + middle), " ", coordinate(top - 8), ") rotate(-90)\">", name, "</text>");
        if (matrix.row_sum(k) > 0)
            out += text("<text class=\"tick\" font-size=\"", name_size, "\" x=\"", coordinate(left + side + 8),
                        "\" y=\"", coordinate(top + middle), "\" dy=\".35em\">",
                        decimals(100 * matrix.share(k, k), K <= 30 ? 1 : 0), "%</text>\n");
    }
    // Hairlines between the cells; the cells lie above them.
    out += text("<path class=\"grid\" d=\"");
    for (Index k = 0; k <= K; ++k) {
        const double at = static_cast<double>(k) * cell;
        out += text("M", coordinate(left), " ", coordinate(top + at), "h", coordinate(side), "M", coordinate(left + at),
                    " ", coordinate(top), "v", coordinate(side));
    }
    out += "\"/>\n";
    for (Index t = 0; t < K; ++t)
        for (Index p = 0; p < K; ++p) {
            if (matrix.count(t, p) == 0) continue;
            const double share = matrix.share(t, p);
            const double darkness = t == p ? share * share : std::sqrt(share / largest_mistake);
            const double opacity = t == p ? 0.08 + 0.92 * darkness : 0.06 + 0.74 * darkness;
            const double x = left + static_cast<double>(p) * cell, y = top + static_cast<double>(t) * cell;
            // The number's colour: dark on light paper, until a right answer is darker than that. On dark paper, where
            // colours are light, the other way round, a bit earlier.
            const char* ink = opacity > 0.75 ? "count strong deep" : opacity > 0.62 ? "count strong" : "count";
            out += text("<g><title>", escape_html(matrix.name(t)), " taken for ", escape_html(matrix.name(p)), ": ",
                        matrix.count(t, p), " of ", matrix.row_sum(t), "</title><rect class=\"",
                        t == p ? "right" : "wrong", "\" x=\"", coordinate(x + 0.5), "\" y=\"", coordinate(y + 0.5),
                        "\" width=\"", cell - 1, "\" height=\"", cell - 1, "\" fill-opacity=\"", decimals(opacity, 2),
                        "\"/><text class=\"", ink, "\" font-size=\"", count_size, "\" x=\"", coordinate(x + cell / 2),
                        "\" y=\"", coordinate(y + cell / 2), "\" dy=\".35em\">", matrix.count(t, p), "</text></g>\n");
        }
    return out + "</svg>\n";
}

struct ConfusedPair {
    Index truth, prediction, count;
};

// The largest counts off the diagonal, at most `limit`; of equal ones the first in the matrix.
GRADUS_COLD inline std::vector<ConfusedPair> most_confused(const ConfusionView& matrix, std::size_t limit) {
    std::vector<ConfusedPair> pairs;
    for (Index t = 0; t < matrix.size(); ++t)
        for (Index p = 0; p < matrix.size(); ++p)
            if (t != p && matrix.count(t, p) > 0) pairs.push_back({t, p, matrix.count(t, p)});
    sort_stably(pairs, [](const ConfusedPair& a, const ConfusedPair& b) { return a.count > b.count; });
    if (pairs.size() > limit) pairs.resize(limit);
    return pairs;
}

}  // namespace gradus::inline GRADUS_ABI
