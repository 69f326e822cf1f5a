// operations/normalization_operations.hpp   The rows of include/gradus/normalization.
#pragma once

#include "gradus/normalization/batch_norm.hpp"
#include "operations/operation.hpp"

namespace operations {

// The running statistics are made anew in every call: a row's function returns the same result each time.
struct NormalizationOperations {
    template <class T, class D>
    static Variable<T, D> train(const Inputs<T, D>& in, const gradus::BatchNormOptions& options,
                                const Variable<T, D>& shortcut) {
        Tensor<Sum<T>, D> mean = Tensor<Sum<T>, D>::zeros(in.p[0].shape()), var = mean.clone();
        return batch_norm(in.x[0], in.p[0], in.p[1], mean, var, options, shortcut);
    }
    template <class T, class D>
    static Variable<T, D> infer(const Inputs<T, D>& in, const gradus::BatchNormOptions& options,
                                const Variable<T, D>& shortcut) {
        const Shape channels = in.p[0].shape();
        const Tensor<Sum<T>, D> mean = Tensor<Sum<T>, D>::full(channels, Sum<T>(0.25)),
                                var = Tensor<Sum<T>, D>::full(channels, Sum<T>(1.5));
        return batch_norm_inference(in.x[0], in.p[0], in.p[1], mean, var, options, shortcut);
    }

    template <class Visit>
    static void rows(const Visit& visit) {
        const std::vector<Sample> alone = {{.x = {{2, 3, 2, 5}}, .p = {{5}, {5}}},  // x (N, H, W, C), gamma, beta (C)
                                           {.x = {{37, 3}}, .p = {{3}, {3}}},
                                           {.x = {{19, 1}}, .p = {{1}, {1}}},
                                           {.x = {{3, 16}}, .p = {{16}, {16}}}};
        const std::vector<Sample> added = {{.x = {{2, 3, 2, 5}, {2, 3, 2, 5}}, .p = {{5}, {5}}},
                                           {.x = {{3, 16}, {3, 16}}, .p = {{16}, {16}}}};
        std::vector<Sample> any = alone;
        any.push_back({.x = {{1, 3}}, .p = {{3}, {3}}});
        any.push_back({.x = {{0, 3}}, .p = {{3}, {3}}});
        // Kept are x, gamma, beta, mean, rstd, and y where a ReLU follows a shortcut. At most 37 rows are added up, for
        // the mean, the variance and each of the two sums of the backward pass; a dozen roundings combine them.
        const auto row = [&](const char* name, const std::vector<Sample>& samples, const char* keeps) {
            return Row{.name = name, .samples = samples, .roundings = 4 * 38 + 12, .keeps = keeps};
        };
        visit(row("batch_norm", alone, "x0 p0 p1 p0 p0"),
              []<class T, class D>(const Inputs<T, D>& in) { return train<T, D>(in, {}, {}); });
        visit(row("batch_norm with a ReLU", alone, "x0 p0 p1 p0 p0"),
              []<class T, class D>(const Inputs<T, D>& in) { return train<T, D>(in, {.relu = true}, {}); });
        visit(row("batch_norm with a shortcut", added, "x0 p0 p1 p0 p0"),
              []<class T, class D>(const Inputs<T, D>& in) { return train<T, D>(in, {}, in.x[1]); });
        visit(row("batch_norm with a shortcut and a ReLU", added, "x0 p0 p1 p0 p0 y"),
              []<class T, class D>(const Inputs<T, D>& in) { return train<T, D>(in, {.relu = true}, in.x[1]); });
        visit(row("batch_norm with itself as the shortcut", alone, "x0 p0 p1 p0 p0 y"),
              []<class T, class D>(const Inputs<T, D>& in) { return train<T, D>(in, {.relu = true}, in.x[0]); });
        visit(row("batch_norm_inference", any, "x0 p0 p1 p0 p0"),
              []<class T, class D>(const Inputs<T, D>& in) { return infer<T, D>(in, {}, {}); });
        visit(row("batch_norm_inference with a shortcut and a ReLU", added, "x0 p0 p1 p0 p0 y"),
              []<class T, class D>(const Inputs<T, D>& in) { return infer<T, D>(in, {.relu = true}, in.x[1]); });
    }
};

}  // namespace operations
