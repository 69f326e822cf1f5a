// examples/01_autograd.cpp   Derivatives of programs: what everything after this rests on.
//     g++ -O2 -std=c++20 -march=native -pthread -Iinclude examples/01_autograd.cpp -o autograd && ./autograd
// A Variable is a tensor that remembers how it was computed. Called on a result, backward() walks that history from the
// end to the beginning and multiplies derivatives, as the chain rule says. Read include/gradus/autograd/variable.hpp
// along with this file.
#include <cmath>
#include <cstdio>

#include "gradus/gradus.hpp"

using namespace gradus;

namespace {

// A number that gradients are wanted for. Double, so that they can be compared with difference quotients.
Variable<double> unknown(double value) { return Variable<double>(Tensor<double>::scalar(value), true); }

bool is_close(double a, double b) { return std::abs(a - b) <= 1e-12 * std::max(std::abs(a), std::abs(b)); }

// 1. An expression and its gradient.
bool expression() {
    const Variable<double> a = unknown(2), b = unknown(3);
    const Variable<double> f = a * b + exp(a / b);  // recorded while it is computed
    f.backward();

    // By hand:  df/da = b + exp(a/b) / b    df/db = a - exp(a/b) a / b^2
    const double e = std::exp(2.0 / 3.0);
    const double by_hand_a = 3 + e / 3, by_hand_b = 2 - e * 2 / 9;
    std::printf("f = a b + exp(a / b) at a = 2, b = 3\n");
    std::printf("    f       %.12f\n", f.item());
    std::printf("    df/da   %.12f   by hand %.12f\n", a.grad().item(), by_hand_a);
    std::printf("    df/db   %.12f   by hand %.12f\n\n", b.grad().item(), by_hand_b);
    return is_close(a.grad().item(), by_hand_a) && is_close(b.grad().item(), by_hand_b);
}

// 2. A variable that is used twice: the contributions of all its uses add up.
bool used_twice() {
    const Variable<double> x = unknown(3);
    const Variable<double> y = x * x;  // x is both factors: dy/dx = x + x
    (y + x).backward();                // and is used once more here: + 1
    std::printf("f = x x + x at x = 3\n    df/dx   %g, the sum over three uses: 3 + 3 + 1\n", x.grad().item());

    // A second backward adds to the gradient as well. So a training loop clears it first: zero_grad().
    square(x).backward();
    std::printf("    and after another backward, of x^2: %g\n\n", x.grad().item());
    return x.grad().item() == 7 + 6;
}

// 3. Where nobody knows the answer by hand, nudge every input and look: (f(x + h) - f(x - h)) / 2h. gradcheck compares
// all of them with backward, and throws at the first that differs.
bool against_differences() {
    const Variable<double> x(Tensor<double>::from({2, 3}, {0.5, -1, 2, 1.5, 0.3, -0.7}), true);
    const Variable<double> weight(Tensor<double>::from({2, 3}, {1, 0.2, -0.4, 0.9, -1.1, 0.6}), true);
    const auto layer = [](const auto& in) { return tanh(linear(in[0], in[1])); };
    gradcheck(layer, std::vector<Variable<double>>{x, weight});
    std::printf("tanh(x W^T), 12 inputs: backward agrees with difference quotients\n\n");
    return true;
}

// 4. What gradients are for: going downhill. Rosenbrock's function (1960) is a bent valley, steep across and almost
// flat along, with its lowest point, 0, at (1, 1). The gradient points across, hence the small steps, and many.
Variable<double> rosenbrock(const Variable<double>& x, const Variable<double>& y) {
    return square(1 - x) + 100 * square(y - square(x));
}

bool descent() {
    Variable<double> x = unknown(-1.2), y = unknown(1);  // Rosenbrock's own starting point
    Sgd<double> sgd({x, y}, {.momentum = 0.9});
    std::printf("Rosenbrock's function, gradient descent with momentum\n    step         x         y          f\n");
    for (int step = 0; step <= 10000; ++step) {
        sgd.zero_grad();  // gradients add up: see 2
        const Variable<double> f = rosenbrock(x, y);
        f.backward();
        if (step == 0 || step == 10 || step == 100 || step == 1000 || step == 10000)
            std::printf("    %5d  %8.5f  %8.5f  %9.2e\n", step, x.item(), y.item(), f.item());
        sgd.step(2e-4);
    }
    return std::abs(x.item() - 1) < 1e-3 && std::abs(y.item() - 1) < 1e-3;
}

}  // namespace

int main() {
    const bool all = expression() && used_twice() && against_differences() && descent();
    if (!all) std::fprintf(stderr, "01_autograd: a result is not what it should be\n");
    return all ? 0 : 1;
}
