// training/report.hpp   report.html: what a training run did, on one page that loads nothing from elsewhere.
// Pictures are data: URIs (training/report_png.hpp), charts inline SVG (report_chart.hpp, report_confusion.hpp), the
// style sheet is in the page (report_style.hpp). There is no script. What is not there, such as mistakes, is left out.
//     write_file_atomically(out + "/report.html", report_html(data));
#pragma once

#include <utility>

#include "gradus/training/metrics.hpp"
#include "gradus/training/progress.hpp"
#include "gradus/training/report_chart.hpp"
#include "gradus/training/report_confusion.hpp"
#include "gradus/training/report_png.hpp"
#include "gradus/training/report_style.hpp"

namespace gradus::inline GRADUS_ABI {

// A test image that was taken for something else.
struct Mistake {
    std::vector<std::uint8_t> image;  // bytes of shape (H, W, C)
    Shape shape;
    Index truth = 0, prediction = 0;
    double confidence = 0;  // the probability that the network gave its prediction
};

struct ReportData {
    std::string title;
    std::vector<EpochMetrics> history;
    std::vector<double> lr;  // of every step; where it is empty, the history's rates are shown
    std::vector<std::string> classes;
    std::vector<Index> confusion;   // counts (K, K), row by row; the row is the truth
    std::vector<Mistake> mistakes;  // the worst first
    std::vector<float> filters;     // weights of the first layer
    Shape filter_shape;             // (O, KH, KW, I)
    std::vector<std::pair<std::string, std::string>> settings, timings;
};

GRADUS_COLD inline std::string report_figures(const std::vector<EpochMetrics>& history) {
    const EpochMetrics& last = history.back();
    const EpochMetrics* best = &last;
    double seconds = 0;
    for (const EpochMetrics& m : history) {
        if (m.test_accuracy > best->test_accuracy) best = &m;
        seconds += m.seconds;
    }
    std::string out = "<dl class=\"figures\">\n";
    out += "<div class=\"first\"><dt>test accuracy</dt><dd>" + percent(last.test_accuracy) + "</dd></div>\n";
    out += text("<div><dt>best, in epoch ", best->epoch, "</dt><dd>", percent(best->test_accuracy), "</dd></div>\n");
    out += "<div><dt>test loss</dt><dd>" + readable(last.test_loss) + "</dd></div>\n";
    out += text("<div><dt>", history.size(), history.size() == 1 ? " epoch" : " epochs", "</dt><dd>",
                human_duration(seconds), "</dd></div>\n");
    return out + "</dl>\n";
}

// The column of `history` that a member pointer names, times `scale`.
GRADUS_COLD inline ChartLine history_line(const std::vector<EpochMetrics>& history, const char* name,
                                          double EpochMetrics::*column, double scale) {
    ChartLine line{name, "", {}, {}};
    for (const EpochMetrics& m : history) {
        line.x.push_back(static_cast<double>(m.epoch));
        line.y.push_back(scale * m.*column);
    }
    return line;
}

// From the first epoch to the last; of a single one, from its beginning to its end.
GRADUS_COLD inline void set_epochs(Chart& chart, const std::vector<EpochMetrics>& history) {
    chart.x_low = static_cast<double>(history.front().epoch - (history.size() == 1 ? 1 : 0));
    chart.x_high = static_cast<double>(history.back().epoch);
}

GRADUS_COLD inline std::string report_curves(const std::vector<EpochMetrics>& history) {
    Chart loss, accuracy;
    loss.title = "loss by epoch";
    loss.lines = {history_line(history, "train", &EpochMetrics::train_loss, 1),
                  history_line(history, "test", &EpochMetrics::test_loss, 1)};
    loss.from_zero = true;
    accuracy.title = "accuracy by epoch";
    accuracy.lines = {history_line(history, "train", &EpochMetrics::train_accuracy, 100),
                      history_line(history, "test", &EpochMetrics::test_accuracy, 100)};
    accuracy.y_limit = 100;
    accuracy.unit = "%";
    const EpochMetrics& last = history.back();
    loss.lines[0].label = "train " + readable(last.train_loss);
    loss.lines[1].label = "test " + readable(last.test_loss);
    accuracy.lines[0].label = "train " + decimals(100 * last.train_accuracy, 1) + "%";
    accuracy.lines[1].label = "test " + decimals(100 * last.test_accuracy, 1) + "%";
    for (Chart* chart : {&loss, &accuracy}) set_epochs(*chart, history);
    for (const EpochMetrics& m : history) {
        const std::string epoch = text("epoch ", m.epoch, ": ");
        loss.notes.push_back(epoch + "train " + readable(m.train_loss) + ", test " + readable(m.test_loss));
        accuracy.notes.push_back(epoch + "train " + percent(m.train_accuracy) + ", test " + percent(m.test_accuracy));
    }
    return "<section><h2>Loss</h2>\n" + draw_chart(loss) + "</section>\n<section><h2>Accuracy</h2>\n" +
           draw_chart(accuracy) + "</section>\n";
}

// The rate over the steps, of which at most 600 are drawn.
GRADUS_COLD inline std::string report_rate(const ReportData& data) {
    Chart chart;
    chart.title = "learning rate by epoch";
    chart.from_zero = true;
    ChartLine line = history_line(data.history, "rate", &EpochMetrics::lr, 1);
    set_epochs(chart, data.history);
    if (!data.lr.empty()) {
        const std::size_t stride = (data.lr.size() + 599) / 600;
        const double first = static_cast<double>(data.history.front().epoch - 1),
                     epochs = chart.x_high - first;  // an epoch ends at its number
        chart.x_low = first;
        line.x.clear();
        line.y.clear();
        for (std::size_t i = 0; i < data.lr.size(); ++i) {
            if (i % stride != 0 && i + 1 != data.lr.size()) continue;
            line.x.push_back(first + epochs * static_cast<double>(i + 1) / static_cast<double>(data.lr.size()));
            line.y.push_back(data.lr[i]);
        }
    }
    line.label = readable(line.y.back());
    chart.lines = {line};
    return "<section><h2>Learning rate</h2>\n" + draw_chart(chart) + "</section>\n";
}

// 2^16, or 1000 where it is no power of two.
GRADUS_COLD inline std::string scale_name(double scale) {
    int exponent = 0;
    return std::frexp(scale, &exponent) == 0.5 ? text("2^", exponent - 1) : readable(scale);
}

// How the loss scale moved, of a run that had one, and what that cost: a chart for each, since they are not measured in
// the same unit.
GRADUS_COLD inline std::string report_loss_scale(const std::vector<EpochMetrics>& history) {
    Chart scale, skipped;
    scale.title = "loss scale by epoch";
    scale.lines = {history_line(history, "rate", &EpochMetrics::loss_scale, 1)};
    scale.prefix = "2^";
    skipped.title = "skipped steps by epoch";
    skipped.lines = {{"test", "", scale.lines[0].x, {}}};
    skipped.from_zero = true;
    Index total = 0;
    for (std::size_t i = 0; i < history.size(); ++i) {
        scale.lines[0].y[i] = std::log2(history[i].loss_scale);
        skipped.lines[0].y.push_back(static_cast<double>(history[i].skipped_steps));
        total += history[i].skipped_steps;
        scale.notes.push_back(text("epoch ", history[i].epoch, ": scale ", scale_name(history[i].loss_scale)));
        skipped.notes.push_back(text("epoch ", history[i].epoch, ": ", history[i].skipped_steps, " skipped"));
    }
    if (total == 0 && history.back().loss_scale == 1) return "";
    scale.lines[0].label = "scale " + scale_name(history.back().loss_scale);
    skipped.lines[0].label = text(total, " skipped");
    for (Chart* chart : {&scale, &skipped}) {
        chart->y_step = 1;
        set_epochs(*chart, history);
    }
    return "<section><h2>Loss scale</h2>\n<p>What the loss was multiplied by, at the end of each epoch.</p>\n" +
           draw_chart(scale) +
           "</section>\n<section><h2>Skipped steps</h2>\n<p>Left out, in each epoch, because a gradient was not "
           "finite.</p>\n" +
           draw_chart(skipped) + "</section>\n";
}

GRADUS_COLD inline std::string report_pairs(const ConfusionView& matrix) {
    const std::vector<ConfusedPair> pairs = most_confused(matrix, 7);
    if (pairs.empty()) return "";
    std::string out = "<section><h2>Most confused</h2>\n<table class=\"pairs\">\n";
    for (const ConfusedPair& pair : pairs)
        out += text("<tr><td>", escape_html(matrix.name(pair.truth)), " <span class=\"quiet\">taken for</span> ",
                    escape_html(matrix.name(pair.prediction)), "</td><td>", pair.count, " <span class=\"quiet\">of ",
                    matrix.row_sum(pair.truth), "</span></td></tr>\n");
    return out + "</table></section>\n";
}

inline std::string report_confusion(const ConfusionView& matrix) {
    const bool is_wide = matrix.size() > 30;
    return text(
        "<section", is_wide ? " class=\"wide\"" : "",
        "><h2>Confusion matrix</h2>\n<p>Rows are the truth, columns the prediction. At the right, how much of a "
        "class was recognised.</p>\n<div class=\"scroll\">\n",
        draw_confusion(matrix), "</div></section>\n");
}

GRADUS_COLD inline std::string report_mistakes(const ReportData& data) {
    std::string out =
        "<section><h2>Worst mistakes</h2>\n<p>Test images on which the network was most certain, and wrong.</p>\n"
        "<div class=\"pictures\">\n";
    for (const Mistake& mistake : data.mistakes) {
        const Index classes = static_cast<Index>(data.classes.size());
        GRADUS_CHECK(
            0 <= mistake.truth && mistake.truth < classes && 0 <= mistake.prediction && mistake.prediction < classes,
            "report: a mistake between classes ", mistake.truth, " and ", mistake.prediction, " of ", classes);
        const std::string truth = escape_html(data.classes[static_cast<std::size_t>(mistake.truth)]);
        const std::string taken = escape_html(data.classes[static_cast<std::size_t>(mistake.prediction)]);
        out +=
            text("<figure><img alt=\"", truth, "\" src=\"", png_uri(mistake.image, mistake.shape), "\"><figcaption><b>",
                 truth, "</b><br><span class=\"quiet\">taken for</span> ", taken, "<br><span class=\"quiet\">",
                 decimals(100 * mistake.confidence, 1), "% sure</span></figcaption></figure>\n");
    }
    return out + "</div></section>\n";
}

// A filter as an image. With three input channels they are red, green and blue, and 0 is grey. With another number the
// mean over them is shown: blue is positive, orange negative, white 0. `scale` is the weight of full colour.
GRADUS_COLD inline std::vector<std::uint8_t> filter_image(const float* weights, Index pixels, Index channels,
                                                          float scale) {
    std::vector<std::uint8_t> image;
    const double white[3] = {247, 247, 247}, blue[3] = {0, 114, 178}, orange[3] = {213, 94, 0};
    for (Index p = 0; p < pixels; ++p) {
        const float* w = weights + p * channels;
        double mean = 0;
        for (Index c = 0; c < channels; ++c) mean += w[c] / (scale * static_cast<float>(channels));
        for (int k = 0; k < 3; ++k) {
            const double* full = mean > 0 ? blue : orange;
            const double mixed = white[k] + std::min(std::fabs(mean), 1.0) * (full[k] - white[k]);
            const double rgb = 127.5 + 127.5 * std::clamp(w[channels == 3 ? k : 0] / scale, -1.0f, 1.0f);
            image.push_back(static_cast<std::uint8_t>(std::lround(channels == 3 ? rgb : mixed)));
        }
    }
    return image;
}

GRADUS_COLD inline std::string report_filters(const std::vector<float>& filters, const Shape& shape) {
    GRADUS_CHECK(shape.rank() == 4 && shape.numel() == static_cast<Index>(filters.size()), "report: ", filters.size(),
                 " weights for filters of shape ", shape);
    const Index O = shape[0], pixels = shape[1] * shape[2], channels = shape[3];
    float scale = 0;
    for (const float w : filters)
        if (std::isfinite(w)) scale = std::max(scale, std::fabs(w));
    std::string out = text("<section><h2>Filters of the first layer</h2>\n<p>", O, " filters of ", shape[1], " \u00d7 ",
                           shape[2], " weights, all on one scale; the largest weight is ", readable(scale), ". ",
                           channels == 3 ? "Grey is 0." : "Blue is positive, orange negative, white 0.",
                           "</p>\n<div class=\"filters\">\n");
    for (Index o = 0; o < O; ++o)
        out +=
            text("<img alt=\"filter ", o, "\" title=\"filter ", o, "\" src=\"",
                 png_uri(filter_image(filters.data() + o * pixels * channels, pixels, channels, scale > 0 ? scale : 1),
                         {shape[1], shape[2], 3}),
                 "\">\n");
    return out + "</div></section>\n";
}

inline std::string report_table(const char* title, const std::vector<std::pair<std::string, std::string>>& rows) {
    std::string out = text("<section><h2>", title, "</h2>\n<table>\n");
    for (const auto& [name, value] : rows)
        out += "<tr><th scope=\"row\">" + escape_html(name) + "</th><td>" + escape_html(value) + "</td></tr>\n";
    return out + "</table></section>\n";
}

GRADUS_COLD inline std::string report_epochs(const std::vector<EpochMetrics>& history) {
    std::string out = text(
        "<section><details><summary>All epochs</summary>\n<div class=\"scroll\"><table "
        "class=\"numbers\">\n<tr><th>epoch</th>"
        "<th>learning rate</th><th>train loss</th><th>train accuracy</th><th>test loss</th><th>test accuracy</th>"
        "<th>time</th></tr>\n");
    for (const EpochMetrics& m : history)
        out += text("<tr><td>", m.epoch, "</td><td>", readable(m.lr), "</td><td>", readable(m.train_loss), "</td><td>",
                    percent(m.train_accuracy), "</td><td>", readable(m.test_loss), "</td><td>",
                    percent(m.test_accuracy), "</td><td>", human_duration(m.seconds), "</td></tr>\n");
    return out + "</table></div></details></section>\n";
}

GRADUS_COLD inline std::string report_html(const ReportData& data) {
    const ConfusionView matrix{data.confusion, data.classes};
    GRADUS_CHECK(data.confusion.empty() || static_cast<Index>(data.confusion.size()) == matrix.size() * matrix.size(),
                 "report: ", data.confusion.size(), " counts for ", matrix.size(), " classes");
    const std::string title = escape_html(data.title);
    std::string page = text(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<link rel=\"icon\" "
        "href=\"data:,\">\n"
        "<title>",
        title, "</title>\n<style>", report_style(), "</style>\n</head>\n<body>\n<h1>", title, "</h1>\n");
    if (!data.history.empty()) page += report_figures(data.history);
    page += "<div class=\"columns\">\n";
    if (!data.history.empty())
        page += report_curves(data.history) + report_rate(data) + report_loss_scale(data.history);
    if (!data.confusion.empty()) page += report_pairs(matrix);
    page += "</div>\n";
    if (!data.confusion.empty()) page += report_confusion(matrix);
    if (!data.mistakes.empty()) page += report_mistakes(data);
    if (!data.filters.empty()) page += report_filters(data.filters, data.filter_shape);
    page += "<div class=\"columns\">\n";
    if (!data.settings.empty()) page += report_table("Settings", data.settings);
    if (!data.timings.empty()) page += report_table("Timings", data.timings);
    page += "</div>\n";
    if (!data.history.empty()) page += report_epochs(data.history);
    return page + "<footer>Gradus " GRADUS_VERSION "</footer>\n</body>\n</html>\n";
}

}  // namespace gradus::inline GRADUS_ABI
