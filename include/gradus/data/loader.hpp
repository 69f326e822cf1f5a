// data/loader.hpp   The batches of a data set, prepared on another thread.
//     Loader<float> loader(data.train, {.batch_size = 128, .shuffle = true, .seed = 1,
//                                       .augmentation = {.flip = true, .crop_padding = 4},
//                                       .normalisation = channel_statistics(data.train)});
//     for (const Batch<float>& batch : loader.epoch(1)) train_on(batch.images, batch.labels);
// What a batch holds depends on the options and the epoch alone, never on timing. A batch is there until the next one
// is asked for; tensors that are kept longer stay as they are, the loader takes new memory then. An epoch may be left
// in the middle.
#pragma once

#include <iterator>

#include "gradus/data/batch.hpp"
#include "gradus/data/prefetch.hpp"

namespace gradus::inline GRADUS_ABI {

// One pass over a data set. Owns the thread; going out of scope ends it.
template <FloatingElement T, Device D = Cpu>
class Epoch {
public:
    Epoch(const Dataset& data, const LoaderOptions& options, Index epoch, Index first_batch)
        : prefetch_(EpochBatches<T>(data, options, epoch), first_batch, options.prefetch) {}

    // The next batch, or nullptr after the last.
    const Batch<T, D>* next() {
        Batch<T, Cpu>* made = prefetch_.next();
        if constexpr (std::same_as<D, Cpu>) {
            return made;
        } else {
            if (!made) return nullptr;
            on_device_ =
                Batch<T, D>{made->images.template to<D>(), made->labels.template to<D>(), made->indices, made->number};
            return &on_device_;
        }
    }

    // For range-for.
    class Iterator {
    public:
        explicit Iterator(Epoch& epoch) : epoch_(epoch), batch_(epoch.next()) {}
        const Batch<T, D>& operator*() const { return *batch_; }
        Iterator& operator++() {
            batch_ = epoch_.next();
            return *this;
        }
        bool operator==(std::default_sentinel_t) const { return batch_ == nullptr; }

    private:
        Epoch& epoch_;
        const Batch<T, D>* batch_;
    };
    Iterator begin() { return Iterator(*this); }
    std::default_sentinel_t end() const { return {}; }

private:
    Prefetch<EpochBatches<T>> prefetch_;
    Batch<T, D> on_device_;  // where D has memory of its own
};

template <FloatingElement T, Device D = Cpu>
class Loader {
public:
    GRADUS_COLD explicit Loader(Dataset data, LoaderOptions options = {})
        : data_(std::move(data)), options_(std::move(options)) {
        check_dataset(data_);
        GRADUS_CHECK(options_.batch_size > 0, "loader: batch_size is ", options_.batch_size, ", it must be positive");
    }

    Index batches() const { return EpochBatches<T>::count(data_, options_); }  // of an epoch
    Index images() const {                                                     // of an epoch
        return options_.drop_last ? batches() * options_.batch_size : data_.size();
    }
    const Dataset& dataset() const { return data_; }
    const LoaderOptions& options() const { return options_; }

    // The batches of an epoch, from `first_batch` on.
    Epoch<T, D> epoch(Index epoch, Index first_batch = 0) const {
        return Epoch<T, D>(data_, options_, epoch, first_batch);
    }

private:
    Dataset data_;  // a handle: the images are shared
    LoaderOptions options_;
};

}  // namespace gradus::inline GRADUS_ABI
