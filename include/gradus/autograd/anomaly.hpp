// autograd/anomaly.hpp   detect_anomaly: stop at the operation where the first NaN or infinity appears.
//     DetectAnomaly guard;                      while it lives, every result and every gradient is checked
//     log (head.fc): the result of shape (8, 10) holds a nan at element 3
// Cost     One more pass over every tensor, so it is off unless asked for.
#pragma once

#include <cmath>
#include <string_view>

#include "gradus/core/tensor.hpp"

namespace gradus::inline GRADUS_ABI {

inline bool& anomaly_detection() {
    static thread_local bool enabled = false;
    return enabled;
}
class DetectAnomaly {
public:
    DetectAnomaly() : before_(anomaly_detection()) { anomaly_detection() = true; }
    ~DetectAnomaly() { anomaly_detection() = before_; }
    DetectAnomaly(const DetectAnomaly&) = delete;
    DetectAnomaly& operator=(const DetectAnomaly&) = delete;

private:
    bool before_;
};

// Fails where an element of x is not finite. `what` is "the result" or "the gradient of input 0"; the layer's path is
// added by fail(), from the open LayerScope.
inline void check_finite_element(std::string_view operation, std::string_view what, const Shape& shape, Index i,
                                 double value) {
    GRADUS_CHECK(std::isfinite(value), operation, ": ", what, " of shape ", shape, " holds ",
                 std::isnan(value) ? "a nan" : "an infinity", " at element ", i);
}
GRADUS_COLD inline void check_finite(std::string_view operation, std::string_view what, const Tensor<double>& x) {
    const double* const values = x.data();
    for (Index i = 0; i < x.numel(); ++i) check_finite_element(operation, what, x.shape(), i, values[i]);
}
template <class T, class D>
GRADUS_COLD void check_finite(std::string_view operation, std::string_view what, const Tensor<T, D>& x) {
    check_finite(operation, what, x.template to<Cpu>().template as<double>());
}

}  // namespace gradus::inline GRADUS_ABI
