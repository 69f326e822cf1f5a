// training/sgd.hpp   Stochastic gradient descent with momentum.
// Papers   Robbins & Monro 1951; momentum: Polyak 1964; Nesterov's form after Sutskever, Martens, Dahl, Hinton 2013,
//          "On the importance of initialization and momentum in deep learning", section 2.
// Problem  The gradient of a batch is noisy, and steep across a ravine where it is flat along it. A sum of past
//          gradients, the velocity v, cancels what alternates and keeps what persists: up to 1/(1-m) times faster along
//          the ravine.
// Formula  (1) d = g + decay * w                 weight decay, as the gradient of decay/2 * w^2
//          (2) v = m * v + (1 - dampening) * d   the first time v = d
//          (3) w = w - lr * v                    or, Nesterov:  w = w - lr * (d + m * v)
// Deviates as PyTorch does, the rate is not part of v (Sutskever et al. have it there): they differ once the rate
//          changes.
// Shapes   w, g, v are of one shape; the kernels see them flat, as (N).
// Cost     one pass: reads w, g, v and writes w, v. Twins: sgd_cpu.hpp, sgd_cuda.cuh
#pragma once

#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

// The numbers of one step, in the parameters' type.
template <class P>
struct SgdRule {
    P lr;
    P decay;
    P momentum;
    P fresh;  // 1 - dampening: the weight of the newest gradient in v
    bool nesterov;
};

template <class P>
void sgd_step(Reference, Vector<P> w, Vector<const P> g, Vector<P> v, SgdRule<P> rule) {
    for (Index i = 0; i < w.size(); ++i) {
        const P d = g(i) + rule.decay * w(i);                                 // (1)
        v(i) = rule.momentum * v(i) + rule.fresh * d;                         // (2)
        w(i) -= rule.lr * (rule.nesterov ? d + rule.momentum * v(i) : v(i));  // (3)
    }
}
// Without momentum v = d, and nothing has to be kept.
template <class P>
void sgd_step(Reference, Vector<P> w, Vector<const P> g, SgdRule<P> rule) {
    for (Index i = 0; i < w.size(); ++i) w(i) -= rule.lr * (g(i) + rule.decay * w(i));
}

// A parameter of a step, and its numbers. Without momentum v is empty.
template <class P>
struct SgdParameter {
    Vector<P> w;
    Vector<const P> g;
    Vector<P> v;
    SgdRule<P> rule;
};

// The steps of all parameters. A card makes them together, because most are too small for a launch of their own. Where
// `rate` is not empty each rule's lr is a factor to it.
template <HostDevice D, class P>
void sgd_steps(D, const std::vector<SgdParameter<P>>& parameters, Vector<const P> rate) {
    for (auto [w, g, v, rule] : parameters) {
        if (rate.size() > 0) rule.lr *= rate(0);
        if (rule.momentum == 0)
            sgd_step(D{}, w, g, rule);
        else
            sgd_step(D{}, w, g, v, rule);
    }
}

// Parameters that are treated alike. Each of the group's rates is the step's rate times lr_scale.
template <FloatingElement P, Device D = Cpu>
struct ParameterGroup {
    std::vector<Variable<P, D>> parameters;
    double weight_decay = 0;
    double lr_scale = 1;
};

// All gradients of the groups, to be written to. Parameters without one are passed over.
template <FloatingElement P, Device D>
GRADUS_COLD std::vector<Vector<P>> gradients_of(const std::vector<ParameterGroup<P, D>>& groups) {
    std::vector<Vector<P>> gradients;
    for (const ParameterGroup<P, D>& group : groups)
        for (Variable<P, D> parameter : group.parameters)
            if (parameter.grad().defined()) gradients.push_back(parameter.mutable_grad().template write<1>());
    return gradients;
}

// Decays the weights (rank 2 and more) only, not the biases and not gamma and beta of normalisations: Jia et al. 2018,
// arXiv 1807.11205; He T. et al. 2018, "Bag of Tricks", arXiv 1812.01187, section 3.1.
template <FloatingElement P, Device D>
GRADUS_COLD std::vector<ParameterGroup<P, D>> no_bias_decay(const std::vector<Variable<P, D>>& parameters,
                                                            double weight_decay) {
    ParameterGroup<P, D> decayed{{}, weight_decay}, plain{{}, 0};
    for (const Variable<P, D>& parameter : parameters)
        (parameter.shape().rank() >= 2 ? decayed : plain).parameters.push_back(parameter);
    return {decayed, plain};
}

struct SgdConfig {
    double momentum = 0;
    double dampening = 0;
    bool nesterov = false;
};

//     Sgd<float> sgd(net.parameters(), {.momentum = 0.9});                                    one group, no decay
//     Sgd<float> sgd(no_bias_decay(net.named_parameters(), 1e-4), {.momentum = 0.9, .nesterov = true});
//     sgd.zero_grad();  loss.backward();  sgd.step(schedule(i));
// The parameters are Variables that share storage with the model's: write into a model's tensors (copy_from), never
// replace them. A parameter without a gradient is left as it is. Errors: momentum outside of [0, 1), a negative decay
// or scale, nesterov without momentum or with dampening, a parameter that is listed twice.
template <FloatingElement P, Device D = Cpu>
class Sgd {
public:
    GRADUS_COLD Sgd(std::vector<ParameterGroup<P, D>> groups, const SgdConfig& config)
        : groups_(std::move(groups)), config_(config) {
        GRADUS_CHECK(config.momentum >= 0 && config.momentum < 1, "sgd: momentum must be in [0, 1), got ",
                     config.momentum);
        GRADUS_CHECK(!config.nesterov || (config.momentum > 0 && config.dampening == 0),
                     "sgd: nesterov needs a momentum above 0 and no dampening, got momentum ", config.momentum,
                     " and dampening ", config.dampening);
        std::set<const void*> places;
        for (const ParameterGroup<P, D>& group : groups_) {
            GRADUS_CHECK(group.weight_decay >= 0 && group.lr_scale >= 0,
                         "sgd: weight_decay and lr_scale must not be negative, got ", group.weight_decay, " and ",
                         group.lr_scale);
            for (const Variable<P, D>& parameter : group.parameters)
                GRADUS_CHECK(places.insert(parameter.place().get()).second, "sgd: a parameter of shape ",
                             parameter.shape(), " is listed twice");
        }
        velocities_.resize(places.size());
    }
    Sgd(std::vector<Variable<P, D>> parameters, const SgdConfig& config)
        : Sgd(std::vector<ParameterGroup<P, D>>{{std::move(parameters)}}, config) {}

    void step(double lr) {
        GRADUS_CHECK(std::isfinite(lr) && lr >= 0, "sgd: the learning rate must be finite and not negative, got ", lr);
        step(lr, Vector<const P>(nullptr, {0}));
    }
    // With a rate that is read when the step is made, on the device: for steps that are recorded (cuda_graph.hpp). What
    // it is, nobody checks.
    void step(const Tensor<P, D>& lr) {
        GRADUS_CHECK(lr.numel() == 1, "sgd: the learning rate must be one number, got the shape ", lr.shape());
        step(1, lr.reshape({1}).template read<1>());
    }

    void zero_grad() {
        for (ParameterGroup<P, D>& group : groups_)
            for (Variable<P, D>& parameter : group.parameters) parameter.zero_grad();
    }

    const std::vector<ParameterGroup<P, D>>& groups() const { return groups_; }

    // v of every parameter, in the order of the groups: what a checkpoint has to keep. Undefined without momentum, and
    // before a parameter's first step. Assign tensors of the parameters' shapes to resume.
    std::vector<Tensor<P, D>>& velocities() { return velocities_; }

private:
    void step(double factor, Vector<const P> rate) {
        const OperationScope operation("sgd");
        std::vector<SgdParameter<P>> parameters;
        auto velocity = velocities_.begin();
        for (ParameterGroup<P, D>& group : groups_)
            for (Variable<P, D>& parameter : group.parameters) add(group, parameter, *velocity++, factor, parameters);
        sgd_steps(D{}, parameters, rate);
    }

    void add(const ParameterGroup<P, D>& group, Variable<P, D>& parameter, Tensor<P, D>& velocity, double lr,
             std::vector<SgdParameter<P>>& parameters) {
        const Tensor<P, D>& gradient = parameter.grad();
        if (!gradient.defined()) return;
        SgdRule<P> rule{static_cast<P>(lr * group.lr_scale), static_cast<P>(group.weight_decay),
                        static_cast<P>(config_.momentum), static_cast<P>(1 - config_.dampening), config_.nesterov};
        Tensor<P, D>& weight = parameter.mutable_value();
        Vector<P> v(nullptr, {0});
        if (config_.momentum > 0) {
            if (!velocity.defined()) {
                GRADUS_CHECK(!is_capturing(D{}), "sgd: the first step with momentum differs from those that follow, ",
                             "so it cannot be part of a graph; run the step once before it is captured");
                velocity = Tensor<P, D>::zeros(weight.shape());
                rule.fresh = 1;  // 0 * m + d: the first v is d itself, whatever the dampening
            }
            GRADUS_CHECK(velocity.shape() == weight.shape(), "sgd: a velocity of shape ", velocity.shape(),
                         " for a parameter of shape ", weight.shape());
            v = velocity.template write<1>();
        }
        parameters.push_back({weight.template write<1>(), gradient.template read<1>(), v, rule});
    }

    std::vector<ParameterGroup<P, D>> groups_;
    SgdConfig config_;
    std::vector<Tensor<P, D>> velocities_;
};

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/training/sgd_cpu.hpp"
