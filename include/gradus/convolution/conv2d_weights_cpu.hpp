// convolution/conv2d_weights_cpu.hpp   The gradient of the weights, (2) of conv2d.hpp, with the micro-kernel.
//     dweight(o, u, v, c) = sum over pixels of dy(pixel, o) * x(pixel under tap (u, v), c)
// Here k is the pixel: a row of outputs is one run. A = dy is read by columns; the row of B that belongs to a pixel are
// the KW*C numbers of x under one kernel row, which lie side by side. Both are read where they are.
// Sums     The bits must not depend on the number of threads, so the shape alone says how the sum is cut: a small
//          gradient is summed in at most 8 parts (within 8 MB), each over consecutive pixels, added up in order; a
//          large one is summed over all pixels in order, and the tasks are parts of the weight.
#pragma once

#include <vector>

#include "gradus/convolution/conv2d_options.hpp"
#include "gradus/convolution/conv2d_window_cpu.hpp"
#include "gradus/core/allocator.hpp"
#include "gradus/machine/cpu/panels.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"

namespace gradus::inline GRADUS_ABI {

inline constexpr Index most_partial_sums = 8;
inline constexpr Index partial_sums_floats = (Index{8} << 20) / Index{sizeof(float)};

// target = sum of `count` arrays that follow each other, in order.
inline void add_partial_sums(const float* partial, Index count, Index size, float* target, Write mode) {
    constexpr Index block = 4096;
    parallel_for(ceil_div(size, block), [&](Index task) {
        const Index end = std::min(size, (task + 1) * block);
        for (Index i = task * block; i < end; i += vec_floats) {
            Vec sum = load(partial + i);
            for (Index part = 1; part < count; ++part) sum += load(partial + part * size + i);
            const Index lanes = std::min<Index>(vec_floats, end - i);
            if (mode == Write::add) sum += load_some(target + i, lanes);
            store_some(target + i, sum, lanes);
        }
    });
}

// The kernel, cut into segments whose x lie side by side: its rows of KW*C, or single taps of C/G.
struct KernelSegments {
    Index count, width;
    bool whole_rows;

    KernelSegments(Index KH, Index KW, Index I, const Conv2dOptions& options)
        : whole_rows(options.groups == 1 && (options.dilation == 1 || KW == 1)) {
        count = whole_rows ? KH : KH * KW;
        width = whole_rows ? KW * I : I;
    }
    Index row(Index segment, Index KW) const { return whole_rows ? segment : segment / KW; }
    Index column(Index segment, Index KW) const { return whole_rows ? 0 : segment % KW; }
};

class DirectWeightGradient {
public:
    DirectWeightGradient(Array4<const float> x, Array4<const float> dy, const Conv2dOptions& options,
                         Array4<float> dweight)
        : x_(x),
          dy_(dy),
          dweight_(dweight),
          options_(options),
          N_(x.shape()[0]),
          H_(x.shape()[1]),
          W_(x.shape()[2]),
          C_(x.shape()[3]),
          P_(dy.shape()[1]),
          Q_(dy.shape()[2]),
          O_(dy.shape()[3]),
          KH_(dweight.shape()[1]),
          KW_(dweight.shape()[2]),
          I_(dweight.shape()[3]),
          segments_(KH_, KW_, I_, options) {
        // A narrow x, an image of 3 colours, would fill its vectors badly: then the vectors run over the O of dy.
        swapped_ = segments_.width < 2 * vec_floats && options.groups == 1 &&
                   round_up(O_, vec_floats) * segments_.width < O_ * round_up(segments_.width, vec_floats);
        // Windows of about 256 pixels: what a tile reads then stays near the processor.
        const Index most_rows = std::max<Index>(1, 256 / Q_);
        bands_ = ceil_div(P_, most_rows);
        band_rows_ = ceil_div(P_, bands_);
    }

    void compute(Write mode) const {
        const Index size = dweight_.size(), units = N_ * bands_;
        const Index useful = ceil_div(N_ * P_ * Q_, 128);  // a part of fewer pixels costs more than it saves
        const Index parts = std::min({most_partial_sums, units, useful});
        if (parts * size > partial_sums_floats) return compute_large(mode);
        const HostBuffer<float> partial(parts * size);
        parallel_for(parts, [&](Index part) {
            const Index begin = part * units / parts, end = (part + 1) * units / parts;
            for (Index unit = begin; unit < end; ++unit) add_unit(unit, partial.data() + part * size, unit > begin);
        });
        if (!swapped_) return add_partial_sums(partial.data(), parts, size, dweight_.data(), mode);
        const HostBuffer<float> sum(size);
        add_partial_sums(partial.data(), parts, size, sum.data(), Write::overwrite);
        for (Index o = 0; o < O_; ++o)  // from (KH, KW, I, O)
            for (Index k = 0; k < size / O_; ++k)
                put(dweight_.data()[o * (size / O_) + k], sum.data()[k * O_ + o], mode);
    }

private:
    // The x under a band of output rows, in place or copied with its zero border.
    Rectangle window(Index begin, Index end) const {
        const auto [s, p, d, G] = options_;
        return {s * begin - p, -p, s * (end - begin - 1) + d * (KH_ - 1) + 1, s * (Q_ - 1) + d * (KW_ - 1) + 1};
    }

    void add_unit(Index unit, float* sum, bool add) const {
        const Index n = unit / bands_, begin = unit % bands_ * band_rows_, end = std::min(P_, begin + band_rows_);
        const Image image{x_.data() + n * H_ * W_ * C_, H_, W_, C_};
        const Rectangle from = window(begin, std::max(end, begin + 1));
        const bool in_place = from.inside(image);
        const Index pixel_stride = in_place || segments_.whole_rows ? C_ : spread(C_, options_.stride);
        const HostBuffer<float> copy(in_place ? 0 : from.rows * from.columns * pixel_stride);
        if (!in_place) copy_rectangle(image, from, copy.data(), pixel_stride);
        const float* x = in_place ? image.data + (from.top * W_ + from.left) * C_ : copy.data();
        const Index row_stride = (in_place ? W_ : from.columns) * pixel_stride;
        std::vector<Run> runs;
        for (Index i = begin; i < end; ++i)
            runs.push_back({(n * P_ + i) * Q_ * O_, options_.stride * (i - begin) * row_stride, Q_});
        for (Index segment = 0; segment < segments_.count; ++segment)
            add_segment(segment, x, row_stride, pixel_stride, runs, 0, O_, sum, add);
    }

    // Channels [first, last) of one segment, summed over the pixels in `runs`, whose a are in dy and whose b are in x.
    void add_segment(Index segment, const float* x, Index row_stride, Index pixel_stride, const std::vector<Run>& runs,
                     Index first, Index last, float* sum, bool add) const {
        const Index width = segments_.width, step = options_.stride * pixel_stride;
        const Index count = static_cast<Index>(runs.size());
        x += options_.dilation *
             (segments_.row(segment, KW_) * row_stride + segments_.column(segment, KW_) * pixel_stride);
        if (swapped_) {
            std::vector<Run> reversed;
            for (const Run& run : runs) reversed.push_back({run.b, run.a, run.length});
            const Panels panels(0, O_);
            for (Index p = 0; p < panels.count(); ++p) {
                const TileTarget target{sum + segment * width * O_ + panels[p].first, O_, panels[p].last(), add};
                tile_column<ALayout::by_column>(width, panels[p].vectors, x, step, dy_.data() + panels[p].first, O_,
                                                reversed.data(), count, target);
            }
            return;
        }
        const Panels panels(0, width);
        const Index stride = KH_ * KW_ * I_, per_group = O_ / options_.groups;
        for (Index o = first; o < last;) {  // group by group
            const Index end = std::min(last, (o / per_group + 1) * per_group);
            for (Index p = 0; p < panels.count(); ++p) {
                const TileTarget target{sum + o * stride + segment * width + panels[p].first, stride, panels[p].last(),
                                        add};
                tile_column<ALayout::by_column>(end - o, panels[p].vectors, dy_.data() + o, O_,
                                                x + o / per_group * I_ + panels[p].first, step, runs.data(), count,
                                                target);
            }
            o = end;
        }
    }

    // Images are few pixels where weights are large (7x7 maps of 512 channels): several images at a time are copied
    // with their borders, and each task adds them to its own rows of one kernel segment.
    void compute_large(Write mode) const {
        const Rectangle from = window(0, P_);
        const Index pixel_stride = segments_.whole_rows ? C_ : spread(C_, options_.stride);
        const Index row_stride = from.columns * pixel_stride, copy_size = from.rows * row_stride;
        const Index group = std::min(N_, std::max<Index>(1, 256 / (P_ * Q_)));
        const HostBuffer<float> copies(group * copy_size);
        const Index blocks = ceil_div(O_, 32), block = ceil_div(O_, blocks);
        for (Index first = 0; first < N_; first += group) {
            const Index count = std::min(group, N_ - first);
            parallel_for(count, [&](Index i) {
                const Image image{x_.data() + (first + i) * H_ * W_ * C_, H_, W_, C_};
                copy_rectangle(image, from, copies.data() + i * copy_size, pixel_stride);
            });
            std::vector<Run> runs;
            for (Index n = 0; n < count; ++n)
                for (Index i = 0; i < P_; ++i)
                    runs.push_back(
                        {((first + n) * P_ + i) * Q_ * O_, n * copy_size + options_.stride * i * row_stride, Q_});
            parallel_for(segments_.count * blocks, [&](Index task) {
                const Index begin = task % blocks * block, end = std::min(O_, begin + block);
                if (begin < end)
                    add_segment(task / blocks, copies.data(), row_stride, pixel_stride, runs, begin, end,
                                dweight_.data(), first > 0 || mode == Write::add);
            });
        }
    }

    Array4<const float> x_, dy_;
    Array4<float> dweight_;
    Conv2dOptions options_;
    Index N_, H_, W_, C_, P_, Q_, O_, KH_, KW_, I_;
    KernelSegments segments_;
    bool swapped_;
    Index bands_, band_rows_;
};

}  // namespace gradus::inline GRADUS_ABI
