// training/progress.hpp   How a run is doing: a bar that redraws in place, rates, the time left.
//     epoch 3/30 [=====>               ]  2,000 images/s  loss 0.613  accuracy 78.2%  750 ms left
// On a terminal the bar redraws at most ten times a second, in one line that is cut to the terminal's width. Anywhere
// else (a file, a pipe) only the line that finish() is given is printed.
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>

#include "gradus/training/summary.hpp"

namespace gradus::inline GRADUS_ABI {

// The time since its construction, on a clock that nobody sets.
class Stopwatch {
public:
    double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// "350 ms", "4.2 s", "3 min 05 s", "1 h 02 min"
GRADUS_COLD inline std::string human_duration(double seconds) {
    char buffer[40];
    if (!(seconds >= 0) || seconds > 1e9) return "unknown";
    const long long whole = std::llround(seconds);
    if (seconds < 0.9995)
        std::snprintf(buffer, sizeof buffer, "%.0f ms", seconds * 1000);
    else if (seconds < 59.95)
        std::snprintf(buffer, sizeof buffer, "%.1f s", seconds);
    else if (whole < 3600)
        std::snprintf(buffer, sizeof buffer, "%lld min %02lld s", whole / 60, whole % 60);
    else
        std::snprintf(buffer, sizeof buffer, "%lld h %02lld min", whole / 3600, whole % 3600 / 60);
    return buffer;
}

// 0.9861 -> "98.61%"
inline std::string percent(double share) {
    char buffer[32];
    std::snprintf(buffer, sizeof buffer, "%.2f%%", share * 100);
    return buffer;
}

inline bool is_terminal(std::FILE* stream) { return isatty(fileno(stream)) != 0; }

// In columns; 80 where it is not known.
inline int terminal_width(std::FILE* stream) {
    winsize size{};
    return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// What a moment of an epoch looks like, in at most `width` columns. The bar takes what the numbers leave, 5 to 40
// columns.
struct ProgressState {
    std::string label;          // "epoch 3/30"
    Index done = 0, total = 0;  // images
    double loss = 0, accuracy = 0, seconds = 0;
};
GRADUS_COLD inline std::string progress_line(const ProgressState& state, int width) {
    const double share = state.total > 0 ? static_cast<double>(state.done) / static_cast<double>(state.total) : 1;
    const double rate = state.seconds > 0 ? static_cast<double>(state.done) / state.seconds : 0;
    const double left = rate > 0 ? static_cast<double>(state.total - state.done) / rate : -1;
    char numbers[160];
    std::snprintf(numbers, sizeof numbers, "  %s images/s  loss %.3f  accuracy %.1f%%  %s left",
                  with_separators(std::llround(rate)).c_str(), state.loss, state.accuracy * 100,
                  human_duration(left).c_str());
    std::string line = state.label + " ";
    const int room = width - static_cast<int>(line.size() + std::string(numbers).size()) - 2;
    if (room >= 5) {
        const std::size_t length = static_cast<std::size_t>(std::min(room, 40));
        const std::size_t filled = static_cast<std::size_t>(share * static_cast<double>(length));
        std::string bar(length, ' ');
        std::fill_n(bar.begin(), filled, '=');
        if (filled < length) bar[filled] = '>';
        line += "[" + bar + "]";
    }
    line += numbers;
    return line.substr(0, static_cast<std::size_t>(std::max(width, 0)));
}

class ProgressBar {
public:
    ProgressBar(std::string label, Index total, std::FILE* stream = stdout)
        : stream_(stream), terminal_(is_terminal(stream)), state_{std::move(label), 0, total, 0, 0, 0} {}
    ~ProgressBar() { clear(); }
    ProgressBar(const ProgressBar&) = delete;
    ProgressBar& operator=(const ProgressBar&) = delete;

    // `done` images of the total, with the averages so far. Cheap: most calls only look at the clock.
    void update(Index done, double loss, double accuracy) {
        if (!terminal_) return;
        const double now = stopwatch_.seconds();
        if (drawn_ && now < next_draw_) return;
        next_draw_ = now + 0.1;
        drawn_ = true;
        state_.done = done;
        state_.loss = loss;
        state_.accuracy = accuracy;
        state_.seconds = now;
        // One column stays free: some terminals wrap after the last. "\033[K" clears what a longer line has left
        // behind.
        std::fprintf(stream_, "\r%s\033[K", progress_line(state_, terminal_width(stream_) - 1).c_str());
        std::fflush(stream_);
    }

    // Replaces the bar by a line that stays.
    void finish(const std::string& line) {
        clear();
        std::fprintf(stream_, "%s\n", line.c_str());
        std::fflush(stream_);
    }

    double seconds() const { return stopwatch_.seconds(); }

private:
    void clear() {
        if (drawn_) std::fprintf(stream_, "\r\033[K");
        drawn_ = false;
    }

    std::FILE* stream_;
    bool terminal_;
    bool drawn_ = false;
    double next_draw_ = 0;
    Stopwatch stopwatch_;
    ProgressState state_;
};

}  // namespace gradus::inline GRADUS_ABI
