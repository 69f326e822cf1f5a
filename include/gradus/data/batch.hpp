// data/batch.hpp   A batch, and how it is made: batch i of an epoch, as a pure function of (options, epoch, i).
// The order of an epoch is a random permutation, drawn from (seed, epoch) alone; batch i holds its entries
// [i * batch_size, (i+1) * batch_size). The last one is smaller where the numbers do not work out, or dropped.
#pragma once

#include "gradus/data/augmentation.hpp"
#include "gradus/data/dataset.hpp"
#include "gradus/data/normalise.hpp"

namespace gradus::inline GRADUS_ABI {

template <FloatingElement T, Device D = Cpu>
struct Batch {
    Tensor<T, D> images;             // (N, H, W, C)
    Tensor<std::int64_t, D> labels;  // (N)
    std::vector<Index> indices;      // (N): which images of the data set these are
    Index number = 0;                // of the batch in its epoch, from 0

    Index size() const { return static_cast<Index>(indices.size()); }
};

struct LoaderOptions {
    Index batch_size = 128;
    bool shuffle = false;    // a new order in every epoch
    bool drop_last = false;  // leave out a last batch that is smaller than the others
    std::uint64_t seed = 0;
    Augmentation augmentation = {};
    ChannelStatistics normalisation = {};  // usually channel_statistics(training set), for the test set as well
    Index prefetch = 3;                    // batches that are ready before they are asked for
};

// The batches of one epoch. For Prefetch (data/prefetch.hpp) it is a source of items.
template <FloatingElement T>
class EpochBatches {
public:
    using Item = Batch<T, Cpu>;

    GRADUS_COLD EpochBatches(const Dataset& data, const LoaderOptions& options, Index epoch)
        : data_(data), options_(options), epoch_(epoch) {
        GRADUS_CHECK(options.batch_size > 0, "loader: batch_size is ", options.batch_size, ", it must be positive");
        table_ = normalisation_table<T>(options.normalisation, data.images.shape()[3]);
        Generator generator = loader_generator(options.seed, Purpose::order, epoch, 0);
        order_.resize(static_cast<std::size_t>(data.size()));
        for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<Index>(i);
        if (options.shuffle) order_ = generator.permutation(data.size());
    }

    Index count() const { return count(data_, options_); }
    static Index count(const Dataset& data, const LoaderOptions& options) {
        const Index whole = data.size() / options.batch_size;
        return options.drop_last || data.size() % options.batch_size == 0 ? whole : whole + 1;
    }

    // Makes batch i in `batch`, whose memory is used again if its size fits.
    void make(Index i, Batch<T, Cpu>& batch) const {
        const Index begin = i * options_.batch_size;
        const Index size = std::min(options_.batch_size, data_.size() - begin);
        const Shape& all = data_.images.shape();
        const Index H = all[1], W = all[2], C = all[3];
        const Shape shape = {size, H, W, C};
        if (!batch.images.defined() || batch.images.shape() != shape) batch.images = Tensor<T, Cpu>(shape);
        if (!batch.labels.defined() || batch.labels.shape() != Shape{size})
            batch.labels = Tensor<std::int64_t, Cpu>({size});
        batch.indices.assign(order_.begin() + begin, order_.begin() + begin + size);
        batch.number = i;

        const std::uint8_t* pixels = data_.images.data();
        const std::int64_t* labels = data_.labels.data();
        T* image = batch.images.mutable_data();
        std::int64_t* label = batch.labels.mutable_data();
        for (const Index index : batch.indices) {
            const Placement placement = draw_placement(options_.augmentation, options_.seed, epoch_, index);
            place_image(pixels + index * data_.image_bytes(), H, W, C, placement, table_.data(), image);
            image += data_.image_bytes();
            *label++ = labels[index];
        }
    }

    // Called by the consumer when it is done with a batch. Where it has kept a handle on a tensor, that memory is its
    // own from now on.
    static void recycle(Batch<T, Cpu>& batch) {
        if (batch.images.defined() && !batch.images.is_sole_owner()) batch.images = {};
        if (batch.labels.defined() && !batch.labels.is_sole_owner()) batch.labels = {};
    }

private:
    Dataset data_;  // a handle: the images are shared
    LoaderOptions options_;
    Index epoch_;
    std::vector<T> table_;
    std::vector<Index> order_;
};

}  // namespace gradus::inline GRADUS_ABI
