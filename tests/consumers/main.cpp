// The whole library in two translation units of one program: every definition in it must be inline.
#include <cstdio>

#include "gradus/gradus.hpp"

double gradient_from_the_second_unit();

int main() {
    gradus::Variable<float> x(gradus::Tensor<float>::full({2, 3}, 2.0f), true);
    gradus::sum(gradus::relu(x)).backward();
    const double here = x.grad().to_vector()[5];
    const double there = gradient_from_the_second_unit();
    std::printf("Gradus %s: %g here, %g there\n", GRADUS_VERSION, here, there);
    return here == 1 && there == 1 ? 0 : 1;
}
