// Covers pinned_memory.hpp and cuda_stream.hpp, in deferred mode too: what is not waited for has not happened.
#include "gradus/machine/cuda/pinned_memory.hpp"

#include <vector>

#include "gradus/core/tensor.hpp"
#include "gradus/machine/cuda/cuda_memory.hpp"
#include "gradus/machine/cuda/cuda_stream.hpp"
#include "machine/emulator/emulator_checks.hpp"

using namespace gradus;

namespace {

[[maybe_unused]] Tensor<std::int64_t, PinnedHost> pinned(std::int64_t value, Index size) {
    Tensor<std::int64_t, PinnedHost> x({size});
    std::fill_n(x.mutable_data(), size, value);
    return x;
}

}  // namespace

#if !defined(__CUDACC__)  // what goes wrong for certain, and what is counted, in the emulator alone
TEST_CASE("a copy from pinned memory is queued, and the host can wait for it") {
    for (const bool waits : {false, true}) {
        const Deferred mode;
        const CudaStream stream;
        Tensor<std::int64_t, PinnedHost> x = pinned(3, 5);
        const std::uint64_t waits_before = emulator::call_counts().waits;
        Tensor<std::int64_t, Cuda> y({5});
        copy_from_pinned(y.mutable_data(), x.data(), x.bytes(), stream.get());
        CHECK(emulator::call_counts().waits == waits_before);
        if (waits) wait_for_copy(x.data());
        x.mutable_data()[0] = 4;
        check_cuda(cudaStreamSynchronize(stream.get()), "cudaStreamSynchronize");
        CHECK(y.to_vector() == std::vector<std::int64_t>{waits ? 3 : 4, 3, 3, 3, 3});
    }
}

TEST_CASE("pinned memory that was freed is given out again, for the same number of pages and when its copy is done") {
    const Deferred mode;
    const CudaStream stream;
    Tensor<std::int64_t, Cuda> y({700});
    const void* memory = nullptr;
    {
        const Tensor<std::int64_t, PinnedHost> x = pinned(1, 700);
        memory = x.data();
        copy_from_pinned(y.mutable_data(), x.data(), x.bytes(), stream.get());
    }
    const std::uint64_t before = emulator::call_counts().allocations;
    const Tensor<std::int64_t, PinnedHost> other = pinned(3, 513), same = pinned(2, 900);  // 2 pages both
    CHECK(other.data() == memory);
    CHECK(same.data() != memory);
    CHECK(emulator::call_counts().allocations == before + 1);
    check_cuda(cudaStreamSynchronize(stream.get()), "cudaStreamSynchronize");
    CHECK(y.to_vector() == std::vector<std::int64_t>(700, 1));
    CHECK(Tensor<float, PinnedHost>({0}).data() == nullptr);
    CHECK_THROWS_AS(pinned_allocator().event_of(same.data() + 1), Error);
}

TEST_CASE("a stream that waits for an event is behind it; one that does not is in no order with it") {
    for (const bool waits : {false, true}) {
        const Deferred mode;
        const CudaStream first, second;
        const CudaEvent never;
        CudaEvent event;
        Tensor<std::int64_t, PinnedHost> x = pinned(8, 1);
        Tensor<std::int64_t, Cuda> y = Tensor<std::int64_t, Cuda>::from({1}, {5}), z({1});
        copy_from_pinned(y.mutable_data(), x.data(), x.bytes(), first.get());
        event.record(first.get());
        never.make_wait(second.get());
        if (waits) event.make_wait(second.get());
        {
            const StreamScope scope(second.get());
            z.copy_from(y);
            CHECK(z.item() == (waits ? 8 : 5));
        }
        event.wait_on_host();
        CHECK(y.item() == 8);
    }
}
#endif
