#include "gradus/core/tensor.hpp"

#include <doctest/doctest.h>

using namespace gradus;

TEST_CASE("tensors from values") {
    const Tensor<float> x = Tensor<float>::from({2, 3}, {1, 2, 3, 4, 5, 6});
    CHECK(x.shape() == Shape{2, 3});
    CHECK(x.numel() == 6);
    CHECK(x.bytes() == 24);
    CHECK(x.to_vector() == std::vector<float>{1, 2, 3, 4, 5, 6});
    CHECK(Tensor<float>::zeros({3}).to_vector() == std::vector<float>{0, 0, 0});
    CHECK(Tensor<std::int64_t>::full({2}, 7).to_vector() == std::vector<std::int64_t>{7, 7});
    CHECK(Tensor<float>::scalar(3).item() == 3);
    CHECK(Tensor<float>::zeros({0, 3}).numel() == 0);
    CHECK(!Tensor<float>().defined());
    CHECK_THROWS_WITH_AS(Tensor<float>::from({2, 2}, {1, 2, 3}), "tensor: shape (2, 2) needs 4 values, got 3", Error);
    CHECK_THROWS_WITH_AS(x.item(), "item: the tensor has 6 elements, not one; its shape is (2, 3)", Error);
}

TEST_CASE("a copy is a handle, a clone has elements of its own") {
    Tensor<float> x = Tensor<float>::from({2}, {1, 2});
    CHECK(x.is_sole_owner());
    const Tensor<float> handle = x, clone = x.clone();
    CHECK(!x.is_sole_owner());
    x.write<1>()(0) = 9;
    CHECK(handle.to_vector()[0] == 9);
    CHECK(clone.to_vector()[0] == 1);
}

TEST_CASE("reshape and slice share storage and its version") {
    Tensor<float> x = Tensor<float>::from({3, 2}, {1, 2, 3, 4, 5, 6});
    const Tensor<float> row = x.slice(1, 2), flat = x.reshape({6});
    CHECK(row.to_vector() == std::vector<float>{3, 4});
    CHECK(row.slice(0, 1).to_vector() == std::vector<float>{3, 4});
    CHECK(x.slice(1, 3).slice(1, 2).to_vector() == std::vector<float>{5, 6});
    CHECK(x.slice(3, 3).numel() == 0);
    const std::uint64_t version = x.version();
    x.write<2>()(1, 0) = -3;
    CHECK(row.to_vector()[0] == -3);
    CHECK(flat.version() > version);
    CHECK_THROWS_WITH_AS(x.reshape({4}), "reshape: (3, 2) has 6 elements, (4,) has 4", Error);
    CHECK_THROWS_WITH_AS(x.slice(1, 4), "slice: [1, 4) of the first dimension of (3, 2)", Error);
}

TEST_CASE("a view merges leading dimensions") {
    Tensor<float> x = Tensor<float>::from({2, 1, 3}, {1, 2, 3, 4, 5, 6});
    const Matrix<const float> rows = x.read<2>();
    CHECK(rows.shape()[0] == 2);
    CHECK(rows.shape()[1] == 3);
    CHECK(rows(1, 2) == 6);
    CHECK(x.read<1>().size() == 6);
    CHECK(Tensor<float>::scalar(5).read<1>()(0) == 5);
    CHECK(Tensor<float>::zeros({2, 0}).read<1>().size() == 0);
    CHECK_THROWS_WITH_AS(x.read<4>(), "tensor: a view of 4 dimensions of a tensor of shape (2, 1, 3)", Error);
    CHECK_THROWS_WITH_AS(Tensor<float>().read<1>(), "tensor: read of an undefined tensor", Error);
    {
        const OperationScope operation("relu");
        CHECK_THROWS_WITH_AS(Tensor<float>().read<1>(), "tensor: read of an undefined tensor in relu", Error);
    }
    CHECK_THROWS_WITH_AS(Tensor<float>().write<1>(), "tensor: write to an undefined tensor", Error);
}

TEST_CASE("copies between devices and element types") {
    const Tensor<float, Cpu> x = Tensor<float, Cpu>::from({2}, {0.1f, -70000});
    const Tensor<float, Reference> y = x.to<Reference>();
    CHECK(y.to_vector() == x.to_vector());
    const Tensor<Half> half = x.as<Half>();
    CHECK(half.to_vector()[0].bits == 0x2e66);
    CHECK(half.to_vector()[1].bits == 0xfc00);
    Tensor<float> target({2});
    target.copy_from(x);
    CHECK(target.to_vector() == x.to_vector());
    CHECK_THROWS_WITH_AS(target.copy_from(Tensor<float>({3})), "copy_from: (3,) into (2,)", Error);
    Tensor<float> undefined;
    CHECK_THROWS_WITH_AS(undefined.copy_from(undefined), "copy_from: of an undefined tensor", Error);
    CHECK_THROWS_AS(undefined.to_vector(), Error);
    CHECK_THROWS_WITH_AS(undefined.item(), doctest::Contains("undefined until backward()"), Error);
}

TEST_CASE("memory goes with the last handle") {
    const std::size_t before = memory_stats(Cpu{}).live_bytes;
    {
        Tensor<float> x({100});
        const Tensor<float> row = x.slice(0, 1);
        x = {};
        CHECK(memory_stats(Cpu{}).live_bytes == before + 400);
    }
    CHECK(memory_stats(Cpu{}).live_bytes == before);
}

TEST_CASE("random tensors are drawn from the generator in order") {
    Generator a{3, 0, 0}, b{3, 0, 0};
    CHECK(Tensor<float>::randn({2, 3}, a).to_vector() == Tensor<float>::randn({6}, b).to_vector());
    CHECK(a == b);
    const Tensor<double> u = Tensor<double>::uniform({1000}, -2, -1, a);
    for (const double value : u.to_vector()) REQUIRE((value >= -2 && value < -1));
}
