#include "gradus/softmax/row_vectors_cpu.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "gradus/core/tensor.hpp"

using namespace gradus;

TEST_CASE("row_vector fills the lanes behind a row") {
    const Tensor<float> x = Tensor<float>::ones({3 * vec_floats});
    for (Index size = 1; size <= 2 * vec_floats; ++size)
        for (Index k = 0; k < size; k += vec_floats) {
            float lanes[vec_floats];
            store(lanes, row_vector(x.data(), k, size, -7));
            for (Index l = 0; l < vec_floats; ++l) CHECK(lanes[l] == (k + l < size ? 1.0f : -7.0f));
        }
}

TEST_CASE("row_max and row_exp_sum of rows of any length") {
    const double eps = std::numeric_limits<float>::epsilon();
    for (const Index size : {1, 2, 15, 16, 17, 100}) {
        Generator generator{2, 0, 0};
        const Tensor<float> x =
            Tensor<float>::uniform({size + 1}, -3, -1, generator);  // the last is no part of the row
        float largest = x.data()[0];
        for (Index k = 1; k < size; ++k) largest = std::max(largest, x.data()[k]);
        CHECK(row_max(x.data(), size) == largest);
        double sum = 0;
        for (Index k = 0; k < size; ++k) sum += std::exp(double{x.data()[k]} - double{largest});
        const double terms = static_cast<double>(size);  // of at most 1; 3 roundings in each, one for each addition
        CHECK(std::abs(row_exp_sum(x.data(), size, largest) - sum) <= (terms + 3) * eps * terms);
    }
}

TEST_CASE("parallel_rows visits every row once") {
    for (const Index rows : {0, 1, 7, 1000})
        for (const Index size : {0, 1, 100, 5000}) {
            std::vector<int> visits(static_cast<std::size_t>(rows));
            parallel_rows(rows, size, [&](Index row) { ++visits[static_cast<std::size_t>(row)]; });
            CHECK(visits == std::vector<int>(static_cast<std::size_t>(rows), 1));
        }
}
