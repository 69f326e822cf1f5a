#include "gradus/training/unscale_cuda.cuh"

#include <doctest/doctest.h>

#include <limits>

using namespace gradus;

namespace {

template <class P>
Variable<P, Cuda> parameter_with_gradient(const std::vector<P>& gradient) {
    const Shape shape{static_cast<Index>(gradient.size())};
    Variable<P, Cuda> parameter(Tensor<P, Cuda>::zeros(shape), true);
    parameter.mutable_grad() = Tensor<P, Cuda>::from(shape, gradient);
    return parameter;
}

// Sizes with and without a tail behind the last pack, and of more than one block.
template <class P>
void check() {
    for (const std::size_t size : {1u, 4u, 7u, 3001u}) {
        std::vector<P> gradient(size);
        for (std::size_t i = 0; i < size; ++i) gradient[i] = static_cast<P>(i) - 5;
        const Variable<P, Cuda> good = parameter_with_gradient(gradient);
        CHECK(unscale_gradients<P, Cuda>({{{good}}}, 8));
        const std::vector<P> unscaled = good.grad().to_vector();
        for (std::size_t i = 0; i < size; ++i) CHECK(unscaled[i] == gradient[i] / 8);
        for (const std::size_t at : {std::size_t{0}, size - 1})
            for (const P bad : {std::numeric_limits<P>::infinity(), std::numeric_limits<P>::quiet_NaN()}) {
                std::vector<P> broken = gradient;
                broken[at] = bad;
                CHECK(!unscale_gradients<P, Cuda>({{{good}}, {{parameter_with_gradient(broken)}}}, 8));
            }
    }
}

}  // namespace

TEST_CASE("unscale on Cuda: divides, and finds one value that is not finite") {
    check<float>();
    check<double>();
}
