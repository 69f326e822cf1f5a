// operations/walk.hpp   The checks that every row of the table of operations goes through.
//     TEST_CASE("elementwise: gradients") { operations::check_gradients<ElementwiseOperations>(); }
//     TEST_CASE("elementwise: graph") { operations::check_graph<ElementwiseOperations>(); }
//     TEST_CASE("elementwise: float") { operations::check_float<ElementwiseOperations>(); }
//     TEST_CASE("elementwise: 16 bits") { operations::check_16_bits<ElementwiseOperations>(); }
// Each instantiates the operations for the types that it needs, so a family that is slow to compile may put them into
// two files.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <sstream>

#include "gradus/autograd/gradcheck.hpp"
#include "gradus/machine/cpu/thread_pool.hpp"
#include "operations/operation.hpp"

namespace operations {

using gradus::BFloat16;
using gradus::Cpu;
using gradus::Half;
using gradus::Reference;

template <class T>
double epsilon() {
    return static_cast<double>(std::numeric_limits<T>::epsilon());
}
template <>
inline double epsilon<Half>() {
    return 0x1p-10;
}
template <>
inline double epsilon<BFloat16>() {
    return 0x1p-7;
}
// Below the smallest normal number the error is absolute: half a unit, for each time a value is stored.
template <class T>
double underflow() {
    return std::is_same_v<T, Half> ? 0x1p-25 : 0x1p-133;
}

inline std::string describe(const Row& row, const Sample& sample) {
    std::string out = std::string(row.name) + " of";
    for (const Shape& shape : shapes_of(sample)) out += gradus::text(" ", shape);
    return out;
}

// How large the numbers are in whose units a result's error is measured. Results are y, dx..., dp...; those of `exact`
// are Reference's in double.
//   absolute     r(|x|, |p|, |dy|), which is sum|a||b| where r = sum a*b
//   sensitivity  |r| + sum over all inputs u of |dr/du| |u|: the change of r when every input is off by one unit of
//                relative error, in the worst direction (Skeel 1979). For a sum of products that is a few sum|a||b|.
inline Results scale_of(const Row& row, const Run& exact, const Numbers& numbers, const std::vector<double>& dy,
                        const Results& results) {
    Numbers inputs = numbers;
    inputs.push_back(dy);
    const int passes = dy.empty() ? 0 : 1;
    if (row.scale == Scale::absolute) {
        for (std::vector<double>& input : inputs)
            for (double& u : input) u = std::abs(u);
        const std::vector<double> absolute_dy = inputs.back();
        inputs.pop_back();
        return exact(inputs, absolute_dy, passes);
    }
    const double step = 1e-6;
    Results scale = results;
    for (std::vector<double>& part : scale)
        for (double& s : part) s = std::abs(s);
    for (std::size_t k = 0; k < inputs.size(); ++k)
        for (std::size_t j = 0; j < inputs[k].size(); ++j) {
            const double u = inputs[k][j];
            if (u == 0) continue;
            inputs[k][j] = u + u * step;
            const std::vector<double> moved_dy = inputs.back();
            const Results moved = exact(Numbers(inputs.begin(), inputs.end() - 1), moved_dy, passes);
            inputs[k][j] = u;
            for (std::size_t r = 0; r < moved.size(); ++r)
                for (std::size_t i = 0; i < moved[r].size(); ++i)
                    scale[r][i] += std::abs(moved[r][i] - results[r][i]) / step;
        }
    return scale;
}

// |computed - exact| <= tolerance * scale + floor, element by element; a failure names the worst element.
inline void check_close(const Results& computed, const Results& exact, const Results& scale, double tolerance,
                        double floor, const std::string& what) {
    REQUIRE(computed.size() == exact.size());
    for (std::size_t r = 0; r < exact.size(); ++r) {
        REQUIRE(computed[r].size() == exact[r].size());
        double worst = 0;
        std::size_t at = 0;
        for (std::size_t i = 0; i < exact[r].size(); ++i) {
            if (computed[r][i] == exact[r][i]) continue;
            const double ratio = std::abs(computed[r][i] - exact[r][i]) / (tolerance * scale[r][i] + floor);
            if (ratio <= worst) continue;  // false for NaN: it is the worst
            worst = ratio;
            at = i;
            if (std::isnan(ratio)) break;
        }
        if (worst <= 1) continue;
        std::ostringstream message;
        message.precision(9);
        message << what << ": " << (r == 0 ? "the result" : "the gradient of input " + std::to_string(r - 1))
                << " is off at element " << at << ": " << computed[r][at] << " for " << exact[r][at] << ", " << worst
                << " times what is allowed";
        FAIL_CHECK(message.str());
    }
}

// A fixed random dy for a result of this many elements.
inline std::vector<double> draw_dy(std::size_t count) {
    Generator generator{21, 0, 0};
    std::vector<double> dy(count);
    for (double& value : dy) value = generator.uniform(-1, 1);
    return dy;
}

// `tested` computes in T with sums in Sum<T>; `exact` is Reference in double. Inputs are rounded to T for both. The
// second backward pass adds its gradient to the first one's, so Write::add is checked too.
template <class T>
void check_against_exact(const Row& row, const Sample& sample, const Run& tested, const Run& exact,
                         const std::string& device) {
    Numbers numbers = draw(row, sample);
    for (std::size_t k = 0; k < numbers.size(); ++k)
        numbers[k] = k < sample.x.size() ? rounded<T>(numbers[k]) : rounded<Sum<T>>(numbers[k]);
    const std::size_t size = exact(numbers, {}, 0)[0].size();
    const std::vector<double> dy = row.differentiable ? rounded<T>(draw_dy(size)) : std::vector<double>{};
    const int passes = row.differentiable ? 1 : 0;
    const Results once = exact(numbers, dy, passes);
    const Results scale = scale_of(row, exact, numbers, dy, once);
    const double tolerance = row.stored * epsilon<T>() + row.roundings * epsilon<Sum<T>>();
    const std::string what = describe(row, sample) + " in " + gradus::element_name<T>() + " on " + device;
    check_close(tested(numbers, dy, passes), once, scale, tolerance, row.stored * underflow<T>(), what);
    if (!row.differentiable) return;

    Results twice = once, twice_scale = scale;
    for (std::size_t r = 1; r < twice.size(); ++r)
        for (std::size_t i = 0; i < twice[r].size(); ++i) {
            twice[r][i] *= 2;
            twice_scale[r][i] *= 2;
        }
    check_close(tested(numbers, dy, 2), twice, twice_scale, tolerance + epsilon<T>(), 2 * row.stored * underflow<T>(),
                what + ", two backward passes");
}

template <class Table, class Check>
void for_each_sample(const Check& check) {
    int rows = 0;
    Table::rows([&](const Row& row, const auto& function) {
        ++rows;
        for (const Sample& sample : row.samples) {
            INFO(describe(row, sample));
            check(row, sample, function);
        }
    });
    CHECK(rows > 0);
}

// Analytic against numeric gradients in double. Leaves are x, then p: both are double.
template <class D>
void gradcheck_sample(const Row& row, const Sample& sample, const Operation<double, D, double>& function) {
    const Inputs<double, D> in = make_inputs<double, D>(sample, draw(row, sample), true);
    std::vector<Variable<double, D>> leaves = in.x;
    leaves.insert(leaves.end(), in.p.begin(), in.p.end());
    gradus::gradcheck([&](const std::vector<Variable<double, D>>&) { return function(in); }, leaves);
}

template <class Table>
void check_gradients() {
    for_each_sample<Table>([](const Row& row, const Sample& sample, const auto& function) {
        if (!row.differentiable) return;
        const bool is_small = row.scale == Scale::sensitivity;  // two runs for every input element
        if (is_small) gradcheck_sample<Reference>(row, sample, std::cref(function));
        if (is_small) gradcheck_sample<Cpu>(row, sample, std::cref(function));
        // Reference and Cpu in double differ by no more than the order of their sums.
        const Run exact = run_with<double, Reference>(function, sample);
        check_against_exact<double>(row, sample, run_with<double, Cpu>(function, sample), exact, "cpu");
    });
}

// The fast kernels in float, forward and backward, against Reference in double; and their bits at several numbers of
// threads.
template <class Table>
void check_float() {
    for_each_sample<Table>([](const Row& row, const Sample& sample, const auto& function) {
        const Run tested = run_with<float, Cpu>(function, sample);
        const Run exact = run_with<double, Reference>(function, sample);
        check_against_exact<float>(row, sample, tested, exact, "cpu");

        const int threads = gradus::thread_count();
        const Numbers numbers = draw(row, sample);
        const std::vector<double> dy = draw_dy(tested(numbers, {}, 0)[0].size());
        gradus::set_threads(1);
        const Results alone = tested(numbers, dy, row.differentiable ? 2 : 0);
        for (const int n : {2, 3}) {
            gradus::set_threads(n);
            const bool same_bits = tested(numbers, dy, row.differentiable ? 2 : 0) == alone;
            CHECK_MESSAGE(same_bits, describe(row, sample) << ": other bits with " << n << " threads than with 1");
        }
        gradus::set_threads(threads);
    });
}

template <class Table>
void check_16_bits() {
    for_each_sample<Table>([](const Row& row, const Sample& sample, const auto& function) {
        const Run exact = run_with<double, Reference>(function, sample);
        check_against_exact<Half>(row, sample, run_with<Half, Reference>(function, sample), exact, "reference");
        check_against_exact<Half>(row, sample, run_with<Half, Cpu>(function, sample), exact, "cpu");
        check_against_exact<BFloat16>(row, sample, run_with<BFloat16, Reference>(function, sample), exact, "reference");
        check_against_exact<BFloat16>(row, sample, run_with<BFloat16, Cpu>(function, sample), exact, "cpu");
    });
}

template <class D>
std::size_t live_bytes() {
    return gradus::memory_stats(D{}).live_bytes;
}

// The bytes of the tensors that row.keeps names. A tensor that it names twice is kept once: "x0 x0" is not more.
inline std::size_t kept_bytes(const Row& row, const Sample& sample, const Shape& y) {
    std::size_t bytes = 0;
    std::istringstream words(row.keeps);
    for (std::string word; words >> word;) {
        const std::size_t colon = word.find(':');
        const std::size_t element = colon == word.npos ? sizeof(float) : std::stoul(word.substr(colon + 1));
        const std::string name = word.substr(0, colon);
        const std::size_t k = name == "y" ? 0 : std::stoul(name.substr(1));
        const Shape& shape = name == "y" ? y : name[0] == 'x' ? sample.x.at(k) : sample.p.at(k);
        bytes += static_cast<std::size_t>(shape.numel()) * element;
    }
    return bytes;
}

// The graph keeps what the row says and no more, and everything is given back, with and without backward.
template <class D, class U>
void check_memory(const Row& row, const Sample& sample, const Operation<float, D, U>& function) {
    const Numbers numbers = draw(row, sample);
    const std::size_t before = live_bytes<D>();
    {
        Inputs<float, D> in = make_inputs<float, D>(sample, numbers, false);
        const std::size_t with_inputs = live_bytes<D>();
        Variable<U, D> y = function(in);
        CHECK(!y.requires_grad());
        CHECK(live_bytes<D>() <= with_inputs + y.value().bytes());
        in = {};
        y.mutable_value() = {};
        CHECK(live_bytes<D>() == before);
    }
    if (!row.differentiable) return;
    for (const bool runs_backward : {false, true}) {
        Inputs<float, D> in = make_inputs<float, D>(sample, numbers, true);
        Variable<U, D> y = function(in);
        const Shape shape = y.shape();
        REQUIRE(y.requires_grad());
        if (runs_backward) y.backward(Tensor<U, D>::ones(shape));
        in = {};  // the places of the inputs live on in the graph, their values only where a node has saved them
        y.mutable_value() = {};
        if (!runs_backward) CHECK(live_bytes<D>() == before + kept_bytes(row, sample, shape));
        y = {};
        CHECK(live_bytes<D>() == before);
    }
    CHECK(live_bytes<D>() == before);
}

template <class Table>
void check_graph() {
    for_each_sample<Table>([]<class F>(const Row& row, const Sample& sample, const F& function) {
        check_memory<Reference, ResultType<float, Reference, F>>(row, sample, std::cref(function));
        check_memory<Cpu, ResultType<float, Cpu, F>>(row, sample, std::cref(function));
    });
}

}  // namespace operations
