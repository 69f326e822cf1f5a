#include "gradus/gradus.hpp"

double gradient_from_the_second_unit() {
    gradus::Variable<float> x(gradus::Tensor<float>::full({2, 3}, 2.0f), true);
    gradus::sum(gradus::relu(x)).backward();
    return x.grad().to_vector()[5];
}
