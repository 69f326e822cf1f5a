// operations/walk_cuda.hpp   The checks of a row on the device Cuda: on a GPU under nvcc, else in the emulator. Cuda is
// compared with Reference, which uses the same formulas: whether a derivative is right, only walk.hpp's checks tell.
//     TEST_CASE("unary: cuda, float") { operations::check_cuda<UnaryOperations, float>(); }
#pragma once

#include "gradus/machine/cuda/cuda_memory.hpp"
#include "machine/emulator/emulator_checks.hpp"
#include "operations/walk.hpp"

namespace operations {

using gradus::Cuda;

// Forward and backward in T against Reference in double. In the emulator also with threads and blocks in reverse and in
// random order, which may not change a bit.
template <class Table, class T>
void check_cuda() {
    for_each_sample<Table>([](const Row& row, const Sample& sample, const auto& function) {
        const Run tested = run_with<T, Cuda>(function, sample);
        check_against_exact<T>(row, sample, tested, run_with<double, Reference>(function, sample), "cuda");
#if !defined(__CUDACC__)
        if (under_race_checker) return;
        gradus::emulator::Settings& settings = gradus::emulator::settings();
        const gradus::emulator::ThreadOrder before = settings.order;
        const Numbers numbers = draw(row, sample);
        const std::vector<double> dy = draw_dy(tested(numbers, {}, 0)[0].size());
        settings.order = gradus::emulator::ThreadOrder::forward;
        const Results forward = tested(numbers, dy, row.differentiable ? 2 : 0);
        for (const auto order : {gradus::emulator::ThreadOrder::reverse, gradus::emulator::ThreadOrder::random}) {
            settings.order = order;
            const bool same_bits = tested(numbers, dy, row.differentiable ? 2 : 0) == forward;
            CHECK_MESSAGE(same_bits, describe(row, sample) << ": other bits in another order of the threads");
        }
        settings.order = before;
#endif
    });
}

template <class Table>
void check_cuda_graph() {
    for_each_sample<Table>([]<class F>(const Row& row, const Sample& sample, const F& function) {
        check_memory<Cuda, ResultType<float, Cuda, F>>(row, sample, std::cref(function));
    });
}

}  // namespace operations
