// Covers loader_cuda.cuh: the batches of the Cpu on the card, and the order of host, copies and computation. In
// deferred mode work is done when something waits for it, so that every missing wait shows.
#include "gradus/data/loader_cuda.cuh"

#include <vector>

#include "data/noise_dataset.hpp"
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

struct Keeping {
    Keeping() { cuda_allocator().set_keeping(true); }
    ~Keeping() {
        cuda_allocator().set_keeping(false);
        cuda_allocator().release_kept();
    }
};

LoaderOptions recipe(Index batch_size, Index prefetch) {
    return {.batch_size = batch_size,
            .shuffle = true,
            .seed = 5,
            .augmentation = {.flip = true, .crop_padding = 2},
            .prefetch = prefetch};
}

// What a step would read: copies of a batch's tensors, queued in the current stream.
template <class T, class D>
struct Copies {
    explicit Copies(const Batch<T, D>& batch) : images(batch.images.clone()), labels(batch.labels.clone()) {}
    Tensor<T, D> images;
    Tensor<std::int64_t, D> labels;
};

template <class T, class D>
std::vector<Copies<T, D>> copies_of(const Loader<T, D>& loader, Index epoch) {
    std::vector<Copies<T, D>> copies;
    Index number = 0;
    for (const Batch<T, D>& batch : loader.epoch(epoch)) {
        CHECK(batch.number == number++);
        CHECK(batch.size() == batch.images.shape()[0]);
        copies.emplace_back(batch);
    }
    return copies;
}

template <class T>
void check_values(const LoaderOptions& options) {
    const Dataset data = coloured_noise(45);
    const Loader<T, Cpu> cpu(data, options);
    const Loader<T, Cuda> cuda(data, options);
    for (const Index epoch : {0, 1}) {
        const auto expected = copies_of(cpu, epoch);
        const auto copies = copies_of(cuda, epoch);
        REQUIRE(copies.size() == expected.size());
        for (std::size_t i = 0; i < copies.size(); ++i) {
            const Tensor<T, Cpu> images = copies[i].images.template to<Cpu>();
            CHECK(images.shape() == expected[i].images.shape());
            CHECK(std::memcmp(images.data(), expected[i].images.data(), images.bytes()) == 0);
            CHECK(copies[i].labels.to_vector() == expected[i].labels.to_vector());
        }
    }
}

// The first bytes of a batch as nobody has written them: the emulator fills new memory with 0xFF.
[[maybe_unused]] bool is_unwritten(const Tensor<float, Cuda>& x) { return std::isnan(x.to_vector()[0]); }

}  // namespace

TEST_CASE("the batches on Cuda are those of the Cpu, queued or at once, with more and fewer slots than batches") {
    for (const bool deferred : {false, true})
        for (const Index prefetch : {1, 3, 20}) {
            INFO("deferred " << deferred << ", prefetch " << prefetch);
            const Deferred mode(deferred);
            check_values<float>(recipe(8, prefetch));  // 5 batches of 8 and one of 5
            check_values<Half>(recipe(45, prefetch));
        }
}

TEST_CASE("(1): a batch is made in pinned memory when the copy of the one before is done") {
    const Deferred mode;
    const Dataset data = coloured_noise(45);
    DeviceBatches<float, Cuda> source(data, recipe(8, 1), 0);
    DeviceBatches<float, Cuda>::Item item;
    std::vector<Copies<float, Cuda>> steps;
    for (Index i = 0; i < source.count(); ++i) {
        source.make(i, item);
        steps.emplace_back(received(item));
        source.recycle(item);
    }
    const std::vector<Copies<float, Cpu>> expected = copies_of(Loader<float>(data, recipe(8, 1)), 0);
    for (std::size_t i = 0; i < steps.size(); ++i) {
        CHECK(steps[i].images.to_vector() == expected[i].images.to_vector());
        CHECK(steps[i].labels.to_vector() == expected[i].labels.to_vector());
    }
}

TEST_CASE("memory of the card that a slot takes or gives back may still be in use, by the streams' order") {
    const Deferred mode;
    const Keeping keeping;
    const Dataset data = coloured_noise(16);
    const std::vector<float> fives(8 * 9 * 7 * 3, 5.0f), zeros(fives.size(), 0.0f);
    Tensor<float, Cuda> before = Tensor<float, Cuda>::from({8, 9, 7, 3}, fives);
    const float* const memory = before.data();
    const Tensor<float, Cuda> reader = before.clone();  // queued
    before = {};
    DeviceBatches<float, Cuda> source(data, recipe(8, 1), 0);
    DeviceBatches<float, Cuda>::Item item;
    source.make(0, item);
    CHECK(item->device.images.data() == memory);
    item->copied.wait_on_host();
    CHECK(reader.to_vector() == fives);

    source.recycle(item);
    source.make(1, item);
    item.reset();  // the copy is on its way
    const Tensor<float, Cuda> after = Tensor<float, Cuda>::zeros({8, 9, 7, 3});
    CHECK(after.data() == memory);
    CHECK(after.to_vector() == zeros);
    cudaDeviceSynchronize();
    CHECK(after.to_vector() == zeros);
}

TEST_CASE("a tensor on Cuda that is kept stays as it is") {
    for (const bool deferred : {false, true}) {
        const Deferred mode(deferred);
        const Keeping keeping;
        const Dataset data = coloured_noise(45);
        const Loader<float, Cuda> loader(data, recipe(6, 1));
        std::vector<Tensor<float, Cuda>> kept;
        for (const Batch<float, Cuda>& batch : loader.epoch(1)) kept.push_back(batch.images);
        const auto expected = copies_of(Loader<float>(data, recipe(6, 1)), 1);
        for (std::size_t i = 0; i < kept.size(); ++i) CHECK(kept[i].to_vector() == expected[i].images.to_vector());
    }
}

TEST_CASE("an epoch on Cuda may be left in the middle: no memory stays behind, and none goes back too early") {
    for (const bool deferred : {false, true}) {
        const Deferred mode(deferred);
        const Keeping keeping;
        const Loader<float, Cuda> loader(coloured_noise(45), recipe(4, 3));
        const std::size_t before = memory_stats(Cuda{}).live_bytes;
        for (int round = 0; round < 20; ++round) {
            int batches = 0;
            for (const Batch<float, Cuda>& batch : loader.epoch(round)) {
                CHECK(batch.size() == 4);
                if (++batches > round % 6) break;
            }
            // Takes the memory of a batch.
            const Tensor<float, Cuda> zeros = Tensor<float, Cuda>::zeros({4, 9, 7, 3});
            CHECK(zeros.to_vector() == std::vector<float>(4 * 9 * 7 * 3, 0.0f));
        }
        CHECK(memory_stats(Cuda{}).live_bytes == before);
    }
}

TEST_CASE("an epoch stays in its stream") {
    const Loader<float, Cuda> loader(coloured_noise(20), recipe(4, 1));
    const CudaStream stream;
    Epoch<float, Cuda> epoch = loader.epoch(0);
    const StreamScope scope(stream.get());
    CHECK_THROWS_WITH_AS(epoch.next(), "loader: an epoch is used in the stream in which it was begun", Error);
}

#if !defined(__CUDACC__)  // what goes wrong for certain, and what is counted, in the emulator alone
TEST_CASE("(3): without the wait for the copy a step reads what was there before") {
    const Deferred mode;
    const Dataset data = coloured_noise(16);
    const std::vector<float> expected = copies_of(Loader<float>(data, recipe(8, 1)), 0)[0].images.to_vector();
    DeviceBatches<float, Cuda> source(data, recipe(8, 1), 0);
    DeviceBatches<float, Cuda>::Item item;
    source.make(0, item);
    CHECK(is_unwritten(item->device.images));  // the same queued read, without received()
    CHECK(received(item).images.to_vector() == expected);
}

TEST_CASE("(2): a batch is copied to a used slot when the step before is done; without recycle() too early") {
    const Dataset data = coloured_noise(16);
    const std::vector<Copies<float, Cpu>> expected = copies_of(Loader<float>(data, recipe(8, 1)), 0);
    for (const bool recycles : {true, false}) {
        const Deferred mode;
        DeviceBatches<float, Cuda> source(data, recipe(8, 1), 0);
        DeviceBatches<float, Cuda>::Item item;
        source.make(0, item);
        item->copied.wait_on_host();
        const Copies<float, Cuda> step(received(item));  // queued, not done
        if (recycles) source.recycle(item);
        source.make(1, item);
        item->copied.wait_on_host();
        CHECK((step.images.to_vector() == expected[0].images.to_vector()) == recycles);
        CHECK(item->device.images.to_vector() == expected[1].images.to_vector());
    }
}

TEST_CASE("a copy does not wait for the steps that are queued: it overlaps with them") {
    const Deferred mode;
    const Dataset data = coloured_noise(16);
    DeviceBatches<float, Cuda> source(data, recipe(8, 1), 0);
    DeviceBatches<float, Cuda>::Item first, second;
    source.make(0, first);
    source.make(1, second);
    emulator::streams().run(emulator::streams().default_stream(), emulator::everything);  // the new memory is free
    const Copies<float, Cuda> step(received(first));
    const std::size_t queued = emulator::streams().default_stream()->queue.size();
    CHECK(queued == 3);  // the wait for the first batch and two copies
    second->copied.wait_on_host();
    CHECK(emulator::streams().default_stream()->queue.size() == queued);
    const Tensor<float, Cuda>& images = second->device.images;
    std::vector<float> pixels(static_cast<std::size_t>(images.numel()));
    const CudaStream another;  // to look at it without doing the steps
    check_cuda(cudaMemcpyAsync(pixels.data(), images.data(), images.bytes(), cudaMemcpyDeviceToHost, another.get()),
               "cudaMemcpyAsync");
    CHECK(pixels == copies_of(Loader<float>(data, recipe(8, 1)), 0)[1].images.to_vector());
}

TEST_CASE("the thread that trains never waits for the card") {
    for (const bool deferred : {false, true}) {
        const Deferred mode(deferred);
        const Loader<float, Cuda> loader(coloured_noise(45), recipe(4, 2));
        const std::uint64_t before = emulator::call_counts().waits;
        const auto copies = copies_of(loader, 0);
        CHECK(copies.size() == 12);
        CHECK(emulator::call_counts().waits == before);
        copies[11].labels.to_vector();
        CHECK(emulator::call_counts().waits == before + 2);  // a copy to pageable memory, and synchronize()
    }
}

TEST_CASE("after the first batches nothing is allocated, neither on the card nor on the host") {
    const Keeping keeping;
    const Loader<float, Cuda> loader(coloured_noise(45), recipe(4, 2));
    std::size_t on_card = 0, on_host = 0;
    for (const Index epoch : {0, 1, 2}) {
        for (const Batch<float, Cuda>& batch : loader.epoch(epoch)) CHECK(batch.images.shape()[1] == 9);
        if (epoch == 0) {
            on_card = emulator::device_memory().live_bytes();
            on_host = emulator::pinned_buffers().size();
        }
    }
    CHECK(emulator::device_memory().live_bytes() == on_card);
    CHECK(emulator::pinned_buffers().size() == on_host);

    DeviceBatches<float, Cuda> source(loader.dataset(), recipe(4, 2), 0);  // the same on this thread, counted
    DeviceBatches<float, Cuda>::Item items[3];
    for (const Index i : {0, 1, 2}) source.make(i, items[i]);
    const std::uint64_t before = emulator::call_counts().allocations;
    for (Index i = 3; i < 11; ++i) {
        received(items[i % 3]);
        source.recycle(items[i % 3]);
        source.make(i, items[i % 3]);
    }
    CHECK(emulator::call_counts().allocations == before);
}
#endif
