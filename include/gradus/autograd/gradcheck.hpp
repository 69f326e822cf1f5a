// autograd/gradcheck.hpp   Compares gradients with central differences: (f(x + h) - f(x - h)) / 2h, in double.
//     gradcheck([](const auto& in) { return conv2d(in[0], in[1], {.padding = 1}); }, {x, weight});
// Works for any function of Variables, your own layers included. f = sum(dy * output) with a fixed random dy, so that
// every output element matters. A mismatch is an error that names the input, the element and both values.
// Cost     two forward passes for every input element: use small shapes.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

struct GradcheckOptions {
    double step = 1e-6;      // h: the error of the difference is about h^2 + eps/h, least near eps^(1/3)
    double relative = 1e-5;  // accepted: |analytic - numeric| <= absolute + relative * max|numeric|
    double absolute = 1e-7;
};

template <Device D>
double weighted_sum(const Tensor<double, D>& y, const Tensor<double, D>& dy) {
    const std::vector<double> a = y.to_vector();
    const std::vector<double> b = dy.to_vector();
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

// Every input must be a leaf that requires a gradient. Values are restored before returning, gradients are left set.
template <class Function, Device D>
void gradcheck(const Function& function, std::vector<Variable<double, D>> inputs,
               const GradcheckOptions& options = {}) {
    for (Variable<double, D>& input : inputs) {
        GRADUS_CHECK(input.requires_grad() && input.is_leaf(),
                     "gradcheck: an input is no leaf that requires a gradient");
        input.zero_grad();
    }
    Generator generator{1, 0, 0};
    const Variable<double, D> output = function(inputs);
    const Tensor<double, D> dy = Tensor<double, D>::randn(output.shape(), generator);
    if (output.requires_grad()) output.backward(dy);

    const NoGrad no_grad;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
        Tensor<double, D>& x = inputs[k].mutable_value();
        const std::vector<double> values = x.to_vector();
        const std::vector<double> analytic =
            inputs[k].grad().defined() ? inputs[k].grad().to_vector() : std::vector<double>(values.size(), 0.0);
        std::vector<double> numeric(values.size());
        double scale = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
            double side[2];
            for (int s = 0; s < 2; ++s) {
                std::vector<double> moved = values;
                moved[i] += s == 0 ? options.step : -options.step;
                x.copy_from(Tensor<double, D>::from(x.shape(), moved));
                side[s] = weighted_sum(function(inputs).value(), dy);
            }
            numeric[i] = (side[0] - side[1]) / (2 * options.step);
            scale = std::max(scale, std::abs(numeric[i]));
        }
        x.copy_from(Tensor<double, D>::from(x.shape(), values));
        for (std::size_t i = 0; i < values.size(); ++i)
            GRADUS_CHECK(std::abs(analytic[i] - numeric[i]) <= options.absolute + options.relative * scale,
                         "gradcheck: input ", k, " of shape ", x.shape(), ", element ", i, ": backward gives ",
                         analytic[i], ", the difference quotient ", numeric[i]);
    }
}

}  // namespace gradus::inline GRADUS_ABI
