// training/model_summary.hpp   What a model consists of: a row for every layer, found by running one image through.
#pragma once

#include "gradus/nn/module.hpp"
#include "gradus/training/summary.hpp"

namespace gradus::inline GRADUS_ABI {

// Notes every module without children: the ones that hold parameters and do the arithmetic.
template <FloatingElement P, Device D>
class SummaryObserver final : public ForwardObserver<P, D> {
public:
    GRADUS_COLD void after_forward(const ModuleTree<P, D>& module, const Shape& input, const Shape& output) override {
        if (!module.is_leaf()) return;
        rows.push_back({layer_path(), module.type(), output, module.own_parameter_count(), module.macs(input, output)});
    }
    std::vector<SummaryRow> rows;
};

// Rows for an input of this shape, (1, H, W, C) as a rule. Runs in evaluation mode, so that no statistics change, and
// leaves the model in the mode in which it was.
template <FloatingElement T, Device D>
GRADUS_COLD std::vector<SummaryRow> summary_rows(Module<T, D>& model, const Shape& input) {
    const NoGrad no_grad;
    const EvaluationScope evaluation(model);
    SummaryObserver<Sum<T>, D> observer;
    model(Variable<T, D>(Tensor<T, D>::zeros(input)));
    return observer.rows;
}

}  // namespace gradus::inline GRADUS_ABI
