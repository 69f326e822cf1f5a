// A whole program without exceptions and RTTI, or without threads: it trains, and a failed check reaches the program.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "abi/small_training.hpp"

namespace {

int failures = 0;
void expect(bool condition, const char* what) {
    if (condition) return;
    std::printf("FAILED: %s\n", what);
    ++failures;
}

void check_message(const char* message) {
    expect(std::strstr(message, "reshape: (6,) has 6 elements, (4,) has 4") == message, message);
}

}  // namespace

int main() {
    const SmallTraining training = train_small_network();
    std::printf("losses %g %g %g\n", training.losses[0], training.losses[1], training.losses[2]);
    expect(std::isfinite(training.losses[2]) && training.losses[2] < training.losses[0], "the loss must fall");

    const gradus::Tensor<float> x = gradus::Tensor<float>::zeros({6});
#if defined(__cpp_exceptions)
    try {
        x.reshape({4});
        expect(false, "reshape must throw");
    } catch (const gradus::Error& error) {
        check_message(error.what());
    }
    return failures;
#else
    gradus::error_handler() = [](const char* message) {
        check_message(message);
        std::exit(failures);
    };
    x.reshape({4});
    return 1;  // not reached
#endif
}
