// data/normalise.hpp   Pixels with mean 0 and variance 1 in every channel (LeCun, Bottou, Orr, Muller 1998, "Efficient
//                      BackProp", section 4.3).
// Formula  y = (x/255 - mean_c) / std_c,  x a byte, mean_c and std_c of the training set's pixels x/255 in channel c.
// Cost     a byte has 256 values: a table of 256 numbers a channel holds every possible y.
#pragma once

#include <cmath>

#include "gradus/data/dataset.hpp"

namespace gradus::inline GRADUS_ABI {

struct ChannelStatistics {
    std::vector<double> mean, std;  // of pixels between 0 and 1, one a channel
};

// Over all images of a data set, which is the population: squares are divided by the number of pixels. A channel that
// is constant, and a data set without images, gets std 1. Sums are of integers, so no order of pixels changes a bit.
inline ChannelStatistics channel_statistics(const Dataset& data) {
    const Matrix<const std::uint8_t> pixels = data.images.read<2>();  // (N*H*W, C)
    const auto [M, C] = pixels.shape();
    std::vector<std::int64_t> histogram(static_cast<std::size_t>(256 * C));
    for (Index m = 0; m < M; ++m)
        for (Index c = 0; c < C; ++c) ++histogram[static_cast<std::size_t>(256 * c + pixels(m, c))];

    ChannelStatistics statistics;
    for (Index c = 0; c < C; ++c) {
        const std::int64_t* counts = histogram.data() + 256 * c;
        double sum = 0, squares = 0;
        for (int x = 0; x < 256; ++x) sum += static_cast<double>(counts[x] * x);
        const double mean = M > 0 ? sum / static_cast<double>(M) : 0;
        for (int x = 0; x < 256; ++x) squares += static_cast<double>(counts[x]) * (x - mean) * (x - mean);
        const double std = M > 0 ? std::sqrt(squares / static_cast<double>(M)) : 0;
        statistics.mean.push_back(mean / 255);
        statistics.std.push_back(std > 0 ? std / 255 : 1);
    }
    return statistics;
}

// The formula, for a byte of one channel.
inline double normalise(std::uint8_t pixel, double mean, double std) { return (pixel / 255.0 - mean) / std; }

// Entry 256*c + x is byte x of channel c, normalised. Without statistics pixels become x/255.
template <FloatingElement T>
GRADUS_COLD std::vector<T> normalisation_table(const ChannelStatistics& statistics, Index channels) {
    const bool given = !statistics.mean.empty() || !statistics.std.empty();
    const std::size_t C = static_cast<std::size_t>(channels);
    GRADUS_CHECK(!given || (statistics.mean.size() == C && statistics.std.size() == C),
                 "normalise: ", statistics.mean.size(), " means and ", statistics.std.size(),
                 " standard deviations for ", channels, " channels");
    std::vector<T> table(256 * C);
    for (std::size_t c = 0; c < C; ++c) {
        const double mean = given ? statistics.mean[c] : 0, std = given ? statistics.std[c] : 1;
        GRADUS_CHECK(std > 0, "normalise: the standard deviation of channel ", c, " is ", std, ", it must be positive");
        for (std::size_t x = 0; x < 256; ++x)
            table[256 * c + x] = static_cast<T>(normalise(static_cast<std::uint8_t>(x), mean, std));
    }
    return table;
}

}  // namespace gradus::inline GRADUS_ABI
