// operations/operation.hpp   The table of operations: what a row says, and how a row is run.
// Every public operation of the library has at least one row; operations_test.cpp looks for those that have none. A
// family lists its rows in <family>_operations.hpp, in a struct that shows them one by one to a visitor:
//
//     struct LinearOperations {
//         template <class Visit>
//         static void rows(const Visit& visit) {
//             visit(Row{.name = "linear",                                      x (M, C), weight (O, C), bias (O)
//                       .samples = {{.x = {{5, 7}}, .p = {{3, 7}, {3}}}, {.x = {{0, 7}}, .p = {{3, 7}, {3}}}},
//                       .roundings = 7 + 5,
//                       .keeps = "x0 p0"},
//                   [](const auto& in) { return linear(in.x[0], in.p[0], in.p[1]); });
//         }
//     };
//
// and walks it in <family>_operations_test.cpp (walk.hpp says how), which checks the derivatives too, against
// difference quotients; in Half and BFloat16 there or in <family>_16_bits_test.cpp; and in <family>_cuda_test.cpp on
// Cuda, against Reference (walk_cuda.hpp). `tests/run operations/linear` runs all of a family. The function of a row
// works for every element type and device: in.x are its inputs of type T, in.p those of type Sum<T>, parameters. It may
// name both types:
//     []<class T, class D>(const Inputs<T, D>& in) { return f(in.x[0], Tensor<std::int64_t, D>::from({2}, {4, 0})); }
// It returns one Variable, and the same one every time it is called.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"

namespace operations {

using gradus::Generator;
using gradus::Index;
using gradus::Shape;
using gradus::Sum;
using gradus::Tensor;
using gradus::Variable;

struct Sample {
    std::vector<Shape> x = {};  // the shapes of the inputs of type T
    std::vector<Shape> p = {};  // and of those of type Sum<T>
};

// What a result's error is measured by; see tolerance() in walk.hpp.
enum class Scale {
    sensitivity,  // how much a relative change of every input moves the result. Right for every operation; costs a run
                  // of Reference for every input element, so for samples of up to about 1,000 elements.
    absolute      // the result for absolute inputs: sum|a||b|. For sums of products, at any size; there is no numeric
                  // check of the gradients then, so let a small sample have a row of its own.
};

struct Row {
    const char* name;             // the function's name, then what is special: "conv2d stride 2"
    std::vector<Sample> samples;  // small; with odd sizes, ones and zeros
    double low = -2, high = 2;    // inputs are drawn from [low, high)
    bool distinct = false;        // no two equal inputs even in BFloat16, for maxima; at most 1,024 elements a sample
    Scale scale = Scale::sensitivity;
    // The error that is allowed comes from counting: how many roundings in Sum<T> lie on the longest path from an input
    // to a result or a gradient (a sum of n products: n + 1), and how often a value on it is stored as a T.
    double roundings = 4;
    double stored = 2;
    // The tensors that live on for backward: x0, p1 (inputs), y (the result), any other by an equal shape. "y:1" has
    // one byte an element. "" for none. Only the bytes are compared: x0 and y of one shape are alike.
    const char* keeps = "";
    bool differentiable = true;  // false: only the forward pass is checked
};

template <class T, class D>
struct Inputs {
    std::vector<Variable<T, D>> x;
    std::vector<Variable<Sum<T>, D>> p;
};

// Numbers for a sample's x and p, in this order.
using Numbers = std::vector<std::vector<double>>;

inline std::vector<Shape> shapes_of(const Sample& sample) {
    std::vector<Shape> shapes = sample.x;
    shapes.insert(shapes.end(), sample.p.begin(), sample.p.end());
    return shapes;
}

inline Numbers draw(const Row& row, const Sample& sample) {
    Generator generator{20, 0, 0};
    Numbers numbers;
    std::vector<Index> order = generator.permutation(1024);
    std::size_t used = 0;
    for (const Shape& shape : shapes_of(sample)) {
        std::vector<double>& values = numbers.emplace_back(static_cast<std::size_t>(shape.numel()));
        for (double& value : values) {
            value = generator.uniform(row.low, row.high);
            if (!row.distinct) continue;
            // 128 BFloat16 an octave, from 1/2 to 8, with both signs.
            const Index k = order.at(used++);
            value = (k % 2 == 0 ? 0.5 : -0.5) * (1 + static_cast<double>(k / 2 % 128) / 128) *
                    static_cast<double>(1 << k / 256);
        }
    }
    return numbers;
}

template <class T, class D>
Tensor<T, D> tensor_of(const Shape& shape, const std::vector<double>& numbers) {
    std::vector<T> values;
    for (const double number : numbers) values.push_back(static_cast<T>(number));
    return Tensor<T, D>::from(shape, values);
}
template <class T, class D>
std::vector<double> numbers_of(const Tensor<T, D>& x) {
    const std::vector<T> values = x.to_vector();
    return std::vector<double>(values.begin(), values.end());
}
// What is left of the numbers when they are stored as T.
template <class T>
std::vector<double> rounded(std::vector<double> numbers) {
    for (double& number : numbers) number = static_cast<double>(static_cast<T>(number));
    return numbers;
}

template <class T, class D>
Inputs<T, D> make_inputs(const Sample& sample, const Numbers& numbers, bool requires_grad) {
    Inputs<T, D> in;
    std::size_t k = 0;
    for (const Shape& shape : sample.x) in.x.emplace_back(tensor_of<T, D>(shape, numbers[k++]), requires_grad);
    for (const Shape& shape : sample.p) in.p.emplace_back(tensor_of<Sum<T>, D>(shape, numbers[k++]), requires_grad);
    return in;
}

// The result y, then df/dx and df/dp of f = sum dy*y. Where backward passes nothing on, zeros.
using Results = std::vector<std::vector<double>>;

// Whatever the types of a row's function: from numbers to numbers. With an empty dy only the forward pass runs; the
// backward pass runs as often as `passes` says, and its gradients add up.
using Run = std::function<Results(const Numbers&, const std::vector<double>& dy, int passes)>;

template <class D, class U>
void append_gradient(Results& results, const Variable<U, D>& input) {
    results.push_back(input.grad().defined() ? numbers_of(input.grad())
                                             : std::vector<double>(static_cast<std::size_t>(input.shape().numel())));
}
template <class T, class D, class U>
void append_gradients(Results& results, const Inputs<T, D>& in, const Variable<U, D>& y,
                      const std::vector<double>& dy) {
    if (y.requires_grad()) y.backward(tensor_of<U, D>(y.shape(), dy));
    results.resize(1);
    for (const Variable<T, D>& x : in.x) append_gradient(results, x);
    for (const Variable<Sum<T>, D>& p : in.p) append_gradient(results, p);
}

// A row's function for one element type and device. U, the type of the result, is T or, for losses, Sum<T>. Everything
// that runs a row takes this, so that only the operation itself is compiled anew for every row.
template <class T, class D, class U>
using Operation = std::function<Variable<U, D>(const Inputs<T, D>&)>;

template <class T, class D, class Function>
using ResultType = typename decltype(std::declval<const Function&>()(std::declval<const Inputs<T, D>&>()))::ElementType;

template <class T, class D, class U>
Run run_operation(const Operation<T, D, U>& operation, const Sample& sample) {
    return [operation, &sample](const Numbers& numbers, const std::vector<double>& dy, int passes) {
        const Inputs<T, D> in = make_inputs<T, D>(sample, numbers, passes > 0);
        Results results;
        for (int pass = 0; pass < std::max(passes, 1); ++pass) {
            const Variable<U, D> y = operation(in);
            if (pass == 0) results.push_back(numbers_of(y.value()));
            if (passes > 0) append_gradients(results, in, y, dy);
        }
        return results;
    };
}
template <class T, class D, class Function>
Run run_with(const Function& function, const Sample& sample) {
    return run_operation<T, D, ResultType<T, D, Function>>(std::cref(function), sample);
}

}  // namespace operations
