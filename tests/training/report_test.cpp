#include "gradus/training/report.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

// The parts of the page have headers of their own, which are tested here too.
#include "gradus/training/report_chart.hpp"
#include "gradus/training/report_confusion.hpp"
#include "gradus/training/report_png.hpp"
#include "gradus/training/report_style.hpp"
#include "gradus/training/report_text.hpp"

using namespace gradus;

namespace {

std::size_t occurrences(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
    return count;
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

ReportData small_report() {
    ReportData data;
    data.title = "A & B";
    data.history = {{1, 0.1, 2.0, 0.3, 1.5, 0.4, 2}, {2, 0.05, 1.0, 0.6, 0.9, 0.7, 2}, {3, 0, 0.5, 0.8, 0.95, 0.65, 2}};
    data.classes = {"cat", "<dog>", "owl"};
    data.confusion = {8, 2, 0, 3, 7, 0, 0, 0, 10};
    data.mistakes = {{{0, 50, 100, 255}, {2, 2, 1}, 0, 1, 0.987}};
    data.filters = {1, -1, 0.5f, 0};
    data.filter_shape = {2, 1, 2, 1};
    data.settings = {{"seed", "1"}};
    data.timings = {{"training", "6.0 s"}};
    return data;
}

}  // namespace

TEST_CASE("text is escaped, measured and shortened by characters") {
    CHECK(escape_html("<a href=\"x\">&'") == "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    CHECK(text_length("caf\u00e9") == 4);
    CHECK(shorten("caf\u00e9", 4) == "caf\u00e9");
    CHECK(shorten("caf\u00e9s!", 5) == "caf\u00e9\u2026");
}

TEST_CASE("numbers") {
    CHECK(decimals(0.125, 1) == "0.1");
    CHECK(decimals(std::nan(""), 2) == "\u2013");
    CHECK(decimals(std::numeric_limits<double>::max(), 8).size() == 309 + 9);
    CHECK(coordinate(12.5) == "12.5");
    CHECK(coordinate(12) == "12");
    CHECK(coordinate(-0.001) == "0");
    CHECK(coordinate(100) == "100");
    CHECK(readable(0) == "0");
    CHECK(readable(0.0123) == "0.0123");
    CHECK(readable(0.00123) == "0.00123");
    CHECK(readable(0.0547) == "0.0547");
    CHECK(readable(0.5) == "0.500");
    CHECK(readable(2.3026) == "2.30");
    CHECK(readable(123.4) == "123");
    CHECK(readable(1e-5) == "1.00e-05");
    CHECK(readable(-std::numeric_limits<double>::infinity()) == "\u2013");
}

TEST_CASE("check sums and base64: the values of the standards") {
    CHECK(adler32("Wikipedia") == 0x11e60398);
    CHECK(base64("") == "");
    CHECK(base64("f") == "Zg==");
    CHECK(base64("fo") == "Zm8=");
    CHECK(base64("foo") == "Zm9v");
    CHECK(base64("foobar") == "Zm9vYmFy");  // RFC 4648, section 10
    CHECK(base64("\xff\xef\xbf") == "/++/");
}

TEST_CASE("stored blocks hold at most 65535 bytes") {
    CHECK(zlib_stored("") == std::string("\x78\x01\x01\x00\x00\xff\xff\x00\x00\x00\x01", 11));
    CHECK(zlib_stored("ab") == std::string("\x78\x01\x01\x02\x00\xfd\xff"
                                           "ab\x01\x26\x00\xc4",
                                           13));
    const std::string stream = zlib_stored(std::string(65536, 'x'));
    CHECK(stream.size() == 2 + 5 + 65535 + 5 + 1 + 4);
    CHECK(stream.substr(2, 5) == std::string("\x00\xff\xff\x00\x00", 5));              // not the last
    CHECK(stream.substr(2 + 5 + 65535, 5) == std::string("\x01\x01\x00\xfe\xff", 5));  // the last, of one byte
}

TEST_CASE("a PNG of one grey pixel, byte by byte") {
    const std::string png = encode_png({127}, {1, 1, 1});
    const std::string expected(
        "\x89PNG\r\n\x1a\n"
        "\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55"
        "\x00\x00\x00\x0dIDAT\x78\x01\x01\x02\x00\xfd\xff\x00\x7f\x00\x81\x00\x80\x7c\x4b\x6c\xa3"
        "\x00\x00\x00\x00IEND\xae\x42\x60\x82",
        8 + 25 + 25 + 12);
    CHECK(png == expected);
    // Colour type 2, three bytes a pixel and one a row; of four channels three are shown.
    CHECK(encode_png(std::vector<std::uint8_t>(18), {2, 3, 3})[25] == 2);
    CHECK(encode_png(std::vector<std::uint8_t>(24), {2, 3, 4}) == encode_png(std::vector<std::uint8_t>(18), {2, 3, 3}));
    CHECK_THROWS_AS(encode_png({1, 2}, {1, 1, 1}), Error);
    CHECK_THROWS_AS(encode_png({}, {0, 1, 1}), Error);
}

TEST_CASE("ticks are round and enclose the values") {
    using Ticks = std::vector<double>;
    CHECK(nice_ticks(0, 2.3, 5) == Ticks{0, 0.5, 1, 1.5, 2, 2.5});
    CHECK(nice_ticks(34, 98.4, 5) == Ticks{20, 40, 60, 80, 100});
    CHECK(nice_ticks(1, 3, 6, 1) == Ticks{1, 2, 3});
    CHECK(nice_ticks(0, 1, 6, 1) == Ticks{0, 1});
    CHECK(nice_ticks(1, 200, 6, 1) == Ticks{0, 50, 100, 150, 200});
    CHECK(nice_ticks(5, 5, 5).front() == 5);
    for (const double high : {1e-7, 0.03, 0.7, 1.0, 9.99, 12345.0, 1e12}) {
        const Ticks ticks = nice_ticks(0, high, 5);
        CHECK(ticks.size() >= 2);
        CHECK(ticks.size() <= 6);
        CHECK(ticks.front() <= 0);
        CHECK(ticks.back() >= high * (1 - 1e-6));
    }
    CHECK(tick_label(1.5, 0.5) == "1.5");
    CHECK(tick_label(20, 20) == "20");
    CHECK(tick_label(0.04, 0.02) == "0.04");
}

TEST_CASE("a chart draws each line with its label at the end") {
    Chart chart;
    chart.title = "loss";
    chart.lines = {{"train", "train 0", {1, 2}, {1, 0}}, {"test", "test 0.01", {1, 2}, {1, 0.01}}};
    chart.from_zero = true;
    const std::string svg = draw_chart(chart);
    CHECK(has(svg, "<path class=\"line train\" d=\"M46 14L368 214\"/>"));  // from top left to bottom right
    CHECK(has(svg, ">train 0</text>"));
    CHECK(has(svg, ">test 0.01</text>"));
}

TEST_CASE("a chart leaves out what is not a number") {
    const double nan = std::nan("");
    Chart chart;
    chart.lines = {{"train", "end", {1, 2, 3, 4, 5, 6}, {1, 0, nan, 1, nan, nan}}};
    chart.x_high = 6;
    std::string svg = draw_chart(chart);
    CHECK(has(svg, "d=\"M46 14L110.4 214M239.2 14\""));
    CHECK(occurrences(svg, "<circle") == 1);
    CHECK(has(svg, "x=\"247.2\" y=\"14\""));  // the label, at the last number
    CHECK(!has(svg, "nan"));
    chart.lines = {{"train", "end", {1, 2}, {nan, nan}}};
    svg = draw_chart(chart);
    CHECK(!has(svg, "nan"));
    CHECK(!has(svg, "end</text>"));
}

TEST_CASE("percentages do not go beyond 100") {
    Chart chart;
    chart.lines = {{"train", "", {1, 2}, {100, 100}}};
    chart.y_limit = 100;
    chart.unit = "%";
    const std::string svg = draw_chart(chart);
    CHECK(has(svg, ">100.0%<"));
    CHECK(!has(svg, ">100.2%<"));
}

TEST_CASE("the confusion matrix shows its counts, and nothing for 0") {
    const ReportData data = small_report();
    const ConfusionView matrix{data.confusion, data.classes};
    CHECK(matrix.row_sum(1) == 10);
    CHECK(matrix.share(1, 0) == 0.3);
    const std::string svg = draw_confusion(matrix);
    CHECK(occurrences(svg, "<rect class=\"right\"") == 3);
    CHECK(occurrences(svg, "<rect class=\"wrong\"") == 2);
    CHECK(has(svg, "<title>&lt;dog&gt; taken for cat: 3 of 10</title>"));
    CHECK(has(svg, ">80.0%</text>"));
    const std::vector<ConfusedPair> pairs = most_confused(matrix, 5);
    REQUIRE(pairs.size() == 2);
    CHECK(pairs[0].truth == 1);
    CHECK(pairs[0].prediction == 0);
    CHECK(pairs[0].count == 3);
    CHECK(most_confused(matrix, 1).size() == 1);
}

TEST_CASE("filters: blue above, orange below, white at 0; three channels are a colour") {
    using Image = std::vector<std::uint8_t>;
    const float grey[] = {1, 0, -1};
    CHECK(filter_image(grey, 3, 1, 1) == Image{0, 114, 178, 247, 247, 247, 213, 94, 0});
    const float colour[] = {1, 0, -1};
    CHECK(filter_image(colour, 1, 3, 1) == Image{255, 128, 0});
}

TEST_CASE("the page has every section, escapes text and loads nothing") {
    const std::string page = report_html(small_report());
    CHECK(has(page, "<title>A &amp; B</title>"));
    for (const std::string heading : {"Loss", "Accuracy", "Learning rate", "Most confused", "Confusion matrix",
                                      "Worst mistakes", "Filters of the first layer", "Settings", "Timings"})
        CHECK_MESSAGE(has(page, "<h2>" + heading + "</h2>"), heading);
    CHECK(has(page, "<dt>test accuracy</dt><dd>65.00%</dd>"));
    CHECK(has(page, "<dt>best, in epoch 2</dt><dd>70.00%</dd>"));
    CHECK(has(page, "<dt>3 epochs</dt><dd>6.0 s</dd>"));
    CHECK(has(page, "98.7% sure"));
    CHECK(!has(page, "<dog>"));
    CHECK(occurrences(page, "src=\"data:image/png;base64,") == occurrences(page, "src="));
    CHECK(occurrences(page, "href=") == 1);  // the empty icon
    for (const std::string outside : {"http", "url(", "@import", "<script", "<link rel=\"stylesheet"})
        CHECK_MESSAGE(!has(page, outside), outside);
    for (const std::string element : {"section", "div", "svg", "g", "table", "tr", "td", "th", "figure", "text", "dl"})
        CHECK_MESSAGE(occurrences(page, "<" + element + ">") + occurrences(page, "<" + element + " ") ==
                          occurrences(page, "</" + element + ">"),
                      element);
}

TEST_CASE("an empty report is a page too, and what is missing is left out") {
    const std::string page = report_html({});
    CHECK(has(page, "</html>"));
    CHECK(!has(page, "<h2>"));
}

TEST_CASE("a run of one epoch, and one whose loss is not a number") {
    ReportData data = small_report();
    data.history.resize(1);
    data.history[0].test_loss = std::nan("");
    data.lr = {0.1};
    const std::string page = report_html(data);
    CHECK(has(page, "1 epoch<"));
    CHECK(!has(page, "nan"));
}

TEST_CASE("the loss scale is drawn where there was one") {
    ReportData data = small_report();
    CHECK(!has(report_html(data), "Loss scale"));
    data.history[0].loss_scale = 32768;
    data.history[0].skipped_steps = 1;
    data.history[1].loss_scale = data.history[2].loss_scale = 65536;
    const std::string page = report_html(data);
    CHECK(has(page, "Loss scale"));
    CHECK(has(page, ">scale 2^16</text>"));
    CHECK(has(page, ">1 skipped</text>"));
    CHECK(has(page, "epoch 1: scale 2^15<"));
    CHECK(has(page, "epoch 1: 1 skipped<"));
}

TEST_CASE("the loss scale and the skipped steps have an axis each, the scale's in powers of two") {
    ReportData data = small_report();
    data.history[0].loss_scale = 0x1p20;
    data.history[0].skipped_steps = 300;
    data.history[1].loss_scale = data.history[2].loss_scale = 0x1p18;
    data.history[1].skipped_steps = 2;
    std::string page = report_html(data);
    for (const std::string tick : {">2^18</text>", ">2^19</text>", ">2^20</text>"})
        CHECK_MESSAGE(has(page, tick), tick);
    CHECK(!has(page, ">2^300</text>"));
    CHECK(has(page, "<h2>Skipped steps</h2>"));
    CHECK(has(page, ">300</text>"));
    CHECK(has(page, ">302 skipped</text>"));

    // Steps are whole, and a scale that is no power of two is not called one.
    for (EpochMetrics& m : data.history) m.loss_scale = 1000;
    data.history[0].skipped_steps = 1;
    data.history[1].skipped_steps = 0;
    page = report_html(data);
    CHECK(has(page, ">scale 1000</text>"));
    CHECK(has(page, "epoch 3: scale 1000<"));
    CHECK(!has(page, "scale 2^10"));
    CHECK(!has(page, ">0.2</text>"));
}

TEST_CASE("many steps of the learning rate are thinned out") {
    ReportData data;
    data.history = small_report().history;
    for (int i = 0; i < 100000; ++i) data.lr.push_back(i < 50000 ? 0.1 : 0.01);
    const std::string page = report_html(data);
    CHECK(page.size() < 40000);
}

TEST_CASE("data that do not fit together are refused") {
    ReportData data = small_report();
    data.confusion.pop_back();
    CHECK_THROWS_WITH_AS(report_html(data), "report: 8 counts for 3 classes", Error);
    data = small_report();
    data.filters.pop_back();
    CHECK_THROWS_AS(report_html(data), Error);
    data = small_report();
    data.mistakes[0].truth = 3;
    CHECK_THROWS_AS(report_html(data), Error);
}
