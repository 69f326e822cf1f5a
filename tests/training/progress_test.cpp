#include "gradus/training/progress.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <cstdlib>

using namespace gradus;

namespace {

std::string contents(std::FILE* file) {
    std::string out;
    std::rewind(file);
    for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) out += static_cast<char>(c);
    return out;
}

}  // namespace

TEST_CASE("durations") {
    CHECK(human_duration(0) == "0 ms");
    CHECK(human_duration(0.35) == "350 ms");
    CHECK(human_duration(0.9994) == "999 ms");
    CHECK(human_duration(0.9996) == "1.0 s");
    CHECK(human_duration(4.24) == "4.2 s");
    CHECK(human_duration(59.94) == "59.9 s");
    CHECK(human_duration(59.96) == "1 min 00 s");
    CHECK(human_duration(185) == "3 min 05 s");
    CHECK(human_duration(3599.4) == "59 min 59 s");
    CHECK(human_duration(3599.6) == "1 h 00 min");
    CHECK(human_duration(3725) == "1 h 02 min");
    CHECK(human_duration(-1) == "unknown");
    CHECK(human_duration(std::nan("")) == "unknown");
}

TEST_CASE("percent") {
    CHECK(percent(0.98611) == "98.61%");
    CHECK(percent(1) == "100.00%");
}

TEST_CASE("the progress line fits the width") {
    const ProgressState state{"epoch 3/30", 500, 2000, 0.61329, 0.782, 0.25};
    CHECK(progress_line(state, 91) ==
          "epoch 3/30 [=====>               ]  2,000 images/s  loss 0.613  accuracy 78.2%  750 ms left");
    CHECK(progress_line(state, 78) == "epoch 3/30 [==>     ]  2,000 images/s  loss 0.613  accuracy 78.2%  750 ms left");
    CHECK(progress_line(state, 70) == "epoch 3/30   2,000 images/s  loss 0.613  accuracy 78.2%  750 ms left");
    CHECK(progress_line(state, 60) == "epoch 3/30   2,000 images/s  loss 0.613  accuracy 78.2%  750");
    for (int width = 0; width < 300; ++width)
        CHECK(progress_line(state, width).size() <= static_cast<std::size_t>(width));
    const ProgressState complete{"epoch 3/30", 2000, 2000, 0.5, 1, 1};
    CHECK(progress_line(complete, 80).find("=]") != std::string::npos);
    const ProgressState nothing{"epoch 1/1", 0, 0, 0, 0, 0};
    CHECK(progress_line(nothing, 200).find("unknown left") != std::string::npos);
}

TEST_CASE("a file gets one plain line an epoch") {
    std::FILE* file = std::tmpfile();
    REQUIRE(file != nullptr);
    CHECK(!is_terminal(file));
    CHECK(terminal_width(file) == 80);
    {
        ProgressBar bar("epoch 1/2", 10, file);
        for (Index i = 1; i <= 10; ++i) bar.update(i, 1.0, 0.5);
        bar.finish("epoch 1/2  loss 1.0");
    }
    CHECK(contents(file) == "epoch 1/2  loss 1.0\n");
    std::fclose(file);
}

TEST_CASE("a terminal gets a bar of its width, at most ten times a second") {
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    REQUIRE(terminal >= 0);
    REQUIRE(grantpt(terminal) == 0);
    REQUIRE(unlockpt(terminal) == 0);
    std::FILE* screen = std::fopen(ptsname(terminal), "w");
    REQUIRE(screen != nullptr);
    winsize size{};
    size.ws_col = 70;
    REQUIRE(ioctl(terminal, TIOCSWINSZ, &size) == 0);
    CHECK(is_terminal(screen));
    CHECK(terminal_width(screen) == 70);
    {
        ProgressBar bar("epoch 1/2", 1000, screen);
        const Stopwatch stopwatch;
        for (Index i = 1; i <= 1000 && stopwatch.seconds() < 0.09; ++i) bar.update(i, 1.0, 0.5);  // draws once
        bar.finish("done");
    }
    std::string output;  // what the terminal received, which may come in pieces
    while (!output.ends_with("\n")) {
        char buffer[1000];
        const ssize_t count = read(terminal, buffer, sizeof buffer);
        REQUIRE(count > 0);
        output.append(buffer, static_cast<std::size_t>(count));
    }
    CHECK(output.starts_with("\repoch 1/2   "));
    CHECK(output.find("\033[K") <= 70);
    CHECK(output.find("epoch", 2) == std::string::npos);
    CHECK(output.substr(output.size() - 10) == "\r\033[Kdone\r\n");
    std::fclose(screen);
    close(terminal);
}
