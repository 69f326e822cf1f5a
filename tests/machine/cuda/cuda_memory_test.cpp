// Tensor<T, Cuda>, and the allocator under it. Nothing here is the emulator's own: nvcc compiles it too.
#include "gradus/machine/cuda/cuda_memory.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gradus/core/tensor.hpp"
#include "gradus/machine/cuda/cuda_allocator.hpp"
#include "gradus/machine/cuda/cuda_check.hpp"
#include "gradus/machine/cuda/cuda_stream.hpp"
#include "gradus/machine/cuda/current_stream.hpp"

using namespace gradus;

TEST_CASE("a tensor on Cuda: to the card and back") {
    const std::vector<float> values = {1, -2, 3, 4, 5, 6};
    const Tensor<float, Cuda> x = Tensor<float, Cuda>::from({2, 3}, values);
    CHECK(x.to_vector() == values);
    CHECK(x.clone().to_vector() == values);
    CHECK(!x.clone().shares_storage_with(x));
    CHECK(x.to<Cpu>().to_vector() == values);
    CHECK(x.to<Cpu>().to<Cuda>().to_vector() == values);
    CHECK(x.slice(1, 2).to_vector() == std::vector<float>{4, 5, 6});
    CHECK(x.as<std::int64_t>().to_vector() == std::vector<std::int64_t>{1, -2, 3, 4, 5, 6});
    CHECK(Tensor<float, Cuda>::scalar(7).item() == 7);
    CHECK(Tensor<float, Cuda>::zeros({3}).to_vector() == std::vector<float>(3, 0.0f));
    CHECK(Tensor<float, Cuda>::zeros({0, 3}).to_vector().empty());
    Tensor<float, Cuda> y({2, 3});
    y.copy_from(x);
    CHECK(y.to_vector() == values);
}

TEST_CASE_TEMPLATE("a constant is written on the card", T, float, double, Half, std::int64_t, std::uint8_t) {
    for (const Index size : {0, 1, 15, 16, 17, 5001}) {
        Tensor<T, Cuda> x = Tensor<T, Cuda>::full({size + 3}, static_cast<T>(2));
        fill_elements(Cuda{}, x.mutable_data() + 1, size, static_cast<T>(7));  // not aligned to a pack
        std::vector<T> expected(static_cast<std::size_t>(size + 3), static_cast<T>(2));
        std::fill_n(expected.begin() + 1, size, static_cast<T>(7));
        CHECK((x.to_vector() == expected));
    }
}

TEST_CASE("live and peak bytes are those that were asked for") {
    const std::size_t before = memory_stats(Cuda{}).live_bytes;
    reset_peak_memory(Cuda{});
    {
        const Tensor<float, Cuda> x({7});
        const Tensor<float, Cuda> y({3});
        CHECK(memory_stats(Cuda{}).live_bytes == before + 40);
    }
    CHECK(memory_stats(Cuda{}).live_bytes == before);
    CHECK(memory_stats(Cuda{}).peak_bytes == before + 40);
    reset_peak_memory(Cuda{});
    CHECK(memory_stats(Cuda{}).peak_bytes == before);
}

TEST_CASE("freed memory is given out again for the same size and stream, and goes back when the card is full") {
    CudaAllocator allocator;
    allocator.set_keeping(true);
    void* const first = allocator.allocate(5000);
    CHECK(allocator.stats().reserved_bytes == 5120);  // eighths of 4096
    allocator.release(first, 5000);
    CHECK(allocator.stats().live_bytes == 0);
    CHECK(allocator.stats().reserved_bytes == 5120);
    void* const second = allocator.allocate(4900);
    CHECK(second == first);
    allocator.release(second, 4900);

    cudaStream_t stream = nullptr;
    REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
    {
        const StreamScope scope(stream);
        CHECK(current_stream() == stream);
        void* const third = allocator.allocate(5000);
        CHECK(third != first);  // whose readers may not have finished
        allocator.release(third, 5000);
    }
    CHECK(current_stream() == nullptr);
    CHECK(allocator.stats().reserved_bytes == 2 * 5120);

    std::string message;
    try {
        allocator.allocate(std::size_t{1} << 50);
    } catch (const Error& error) {
        message = error.what();
    }
    CHECK_MESSAGE(message.find("cuda: cudaMalloc of 1125899906842624 bytes") == 0, message);
    CHECK(message.find(cudaGetErrorString(cudaErrorMemoryAllocation)) != message.npos);
    CHECK(allocator.stats().reserved_bytes == 0);  // all that was kept went back first
    CHECK(allocator.stats().live_bytes == 0);
    allocator.release_kept();
    REQUIRE(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST_CASE(
    "the memory of a stream that ends: nobody gets it from there, and what is in use belongs to the current stream") {
    CudaAllocator& allocator = cuda_allocator();
    allocator.release_kept();
    const std::size_t before = allocator.stats().reserved_bytes;
    const std::vector<float> ones(32, 1.0f);
    allocator.set_keeping(true);
    Tensor<float, Cuda> x;
    {
        const CudaStream stream;
        const StreamScope scope(stream.get());
        x = Tensor<float, Cuda>::ones({32});
        const Tensor<float, Cuda> freed = x.clone();
    }
    CHECK(allocator.stats().reserved_bytes == before + 512);
    CHECK(x.to_vector() == ones);
    const void* const memory = x.data();
    x = {};
    CHECK((Tensor<float, Cuda>({32}).data() == memory));
    allocator.set_keeping(false);
    allocator.release_kept();
    CHECK(allocator.stats().reserved_bytes == before);
}

TEST_CASE("a failed call is an Error that names it, and is not reported twice") {
    CHECK_NOTHROW(check_cuda(cudaSuccess, "cudaFree"));
    const std::string expected =
        std::string("cuda: cudaSetDevice of 99: ") + cudaGetErrorString(cudaErrorInvalidDevice);
    CHECK_THROWS_WITH_AS(check_cuda(cudaSetDevice(99), "cudaSetDevice", " of ", 99), expected.c_str(), Error);
    CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("where a kernel has failed, whichever call reports it says that it was one queued before") {
    for (const cudaError_t error : {cudaErrorIllegalAddress, cudaErrorMisalignedAddress, cudaErrorLaunchFailure}) {
        const std::string expected = std::string("cuda: cudaMemcpyAsync of 4 bytes: ") + cudaGetErrorString(error) +
                                     " (in a kernel that was queued before)";
        CHECK_THROWS_WITH_AS(check_cuda(error, "cudaMemcpyAsync", " of 4 bytes"), expected.c_str(), Error);
    }
}

TEST_CASE("with_device knows cuda in this build") {
    CHECK(with_device("cuda", [](auto device) { return std::string(decltype(device)::name); }) == "cuda");
    CHECK_THROWS_WITH_AS(with_device("gpu", [](auto) { return 0; }),
                         "device: there is no 'gpu', choose auto, cuda, cpu or reference", Error);
}
