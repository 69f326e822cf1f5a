// nn/module.hpp   Module: a layer, or a network of layers, with the parameters that training changes.
//     struct Net : Module<float> {
//         Conv2d<float> conv{1, 16, {.kernel = 3, .padding = 1}};
//         Linear<float> fc{16, 10};
//         Net() { child("conv", conv), child("fc", fc); }
//         Variable<float> forward(const Variable<float>& x) override { return fc(global_avg_pool2d(relu(conv(x)))); }
//     };
// Children register by name, so a parameter's full name is a path: "layer2.0.conv1.weight". Names are torchvision's
// where it has the model, so its weights load without a name map. A module is neither copied nor moved: its parent
// points to it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

// How a parameter lies in a file. Convolution weights are (O, KH, KW, I) in memory and (O, I, KH, KW) in files.
enum class FileLayout { same, oihw };

template <class P, class D>
struct Parameter {
    std::string name;
    Variable<P, D>* variable;
    FileLayout layout;
};
template <class P, class D>
struct Buffer {  // state that training updates without a gradient: running statistics
    std::string name;
    Tensor<P, D>* tensor;
};

template <FloatingElement P, Device D>
class ModuleTree;

// Called after every module's forward while it is the one that forward_observer() names: how the model summary learns
// the shapes. It takes that place itself, and leaves it when it is destroyed.
template <FloatingElement P, Device D>
struct ForwardObserver {
    ForwardObserver();
    virtual ~ForwardObserver();
    ForwardObserver(const ForwardObserver&) = delete;
    ForwardObserver& operator=(const ForwardObserver&) = delete;
    virtual void after_forward(const ModuleTree<P, D>& module, const Shape& input, const Shape& output) = 0;
};
template <FloatingElement P, Device D>
ForwardObserver<P, D>*& forward_observer() {
    static thread_local ForwardObserver<P, D>* observer = nullptr;
    return observer;
}
template <FloatingElement P, Device D>
ForwardObserver<P, D>::ForwardObserver() {
    forward_observer<P, D>() = this;
}
template <FloatingElement P, Device D>
ForwardObserver<P, D>::~ForwardObserver() {
    forward_observer<P, D>() = nullptr;
}

// What a module has, whatever type its activations are of: its name, its parameters P, its children. Networks in float,
// Half and BFloat16 all have parameters in float, so that they share this code, and optimisers, checkpoints and
// summaries with it.
template <FloatingElement P, Device D>
class ModuleTree {
public:
    ModuleTree() = default;
    virtual ~ModuleTree() = default;
    ModuleTree(const ModuleTree&) = delete;
    ModuleTree& operator=(const ModuleTree&) = delete;

    virtual const char* type() const { return "Module"; }
    // Multiply-adds of one forward pass, of this module without its children.
    virtual Index macs(const Shape& /*input*/, const Shape& /*output*/) const { return 0; }

    // Parameters (or buffers) of this module and, after them, of its children, in the order of registration.
    GRADUS_COLD std::vector<Parameter<P, D>> named_parameters() {
        std::vector<Parameter<P, D>> all;
        collect_parameters("", all);
        return all;
    }
    // What an optimiser takes: Sgd<float> sgd(net.parameters(), {.momentum = 0.9}).
    GRADUS_COLD std::vector<Variable<P, D>> parameters() {
        std::vector<Variable<P, D>> all;
        for (const Parameter<P, D>& parameter : named_parameters()) all.push_back(*parameter.variable);
        return all;
    }
    GRADUS_COLD std::vector<Buffer<P, D>> named_buffers() {
        std::vector<Buffer<P, D>> all;
        collect_buffers("", all);
        return all;
    }
    GRADUS_COLD Index parameter_count() {
        Index count = 0;
        for (const Variable<P, D>& parameter : parameters()) count += parameter.value().numel();
        return count;
    }
    // Parameters of this module without its children.
    GRADUS_COLD Index own_parameter_count() const {
        Index count = 0;
        for (const Parameter<P, D>& parameter : parameters_) count += parameter.variable->value().numel();
        return count;
    }

    void zero_grad() {
        for (Variable<P, D>& parameter : parameters()) parameter.zero_grad();
    }
    // Training mode (batch statistics, dropout) or evaluation mode, for this module and all below it.
    void train(bool on = true) {
        training_ = on;
        for (ModuleTree* child : children_) child->train(on);
    }
    void eval() { train(false); }
    bool is_training() const { return training_; }
    const std::string& name() const { return name_; }
    bool is_leaf() const { return children_.empty(); }

protected:
    GRADUS_COLD void child(std::string name, ModuleTree& layer) {
        check_name(name);
        GRADUS_CHECK(layer.name_.empty(), "module: '", name, "' is registered already, as '", layer.name_, "'");
        layer.name_ = std::move(name);
        children_.push_back(&layer);
    }
    GRADUS_COLD void parameter(std::string name, Variable<P, D>& variable, FileLayout layout = FileLayout::same) {
        check_name(name);
        parameters_.push_back({std::move(name), &variable, layout});
    }
    GRADUS_COLD void buffer(std::string name, Tensor<P, D>& tensor) {
        check_name(name);
        buffers_.push_back({std::move(name), &tensor});
    }

    // Tells the observer, if there is one.
    void observe(const Shape& input, const Shape& output) const {
        if (ForwardObserver<P, D>* observer = forward_observer<P, D>()) observer->after_forward(*this, input, output);
    }

private:
    // Names are the keys of a state dict, and dots separate them there.
    GRADUS_COLD void check_name(const std::string& name) const {
        GRADUS_CHECK(!name.empty() && name.find('.') == std::string::npos,
                     "module: a name must have a character and no dot, got '", name, "'");
        bool taken = false;
        for (const Parameter<P, D>& p : parameters_) taken |= p.name == name;
        for (const Buffer<P, D>& b : buffers_) taken |= b.name == name;
        for (const ModuleTree* child : children_) taken |= child->name_ == name;
        GRADUS_CHECK(!taken, "module: there is a '", name, "' already");
    }
    GRADUS_COLD static std::string path(const std::string& prefix, const std::string& name) {
        return prefix.empty() ? name : prefix + "." + name;
    }
    GRADUS_COLD void collect_parameters(const std::string& prefix, std::vector<Parameter<P, D>>& all) {
        for (const Parameter<P, D>& p : parameters_) all.push_back({path(prefix, p.name), p.variable, p.layout});
        for (ModuleTree* child : children_) child->collect_parameters(path(prefix, child->name_), all);
    }
    GRADUS_COLD void collect_buffers(const std::string& prefix, std::vector<Buffer<P, D>>& all) {
        for (const Buffer<P, D>& b : buffers_) all.push_back({path(prefix, b.name), b.tensor});
        for (ModuleTree* child : children_) child->collect_buffers(path(prefix, child->name_), all);
    }

    std::string name_;
    bool training_ = true;
    std::vector<Parameter<P, D>> parameters_;
    std::vector<Buffer<P, D>> buffers_;
    std::vector<ModuleTree*> children_;
};

template <FloatingElement T, Device D = Cpu>
class Module : public ModuleTree<Sum<T>, D> {
public:
    virtual Variable<T, D> forward(const Variable<T, D>& x) = 0;

    GRADUS_GLUE Variable<T, D> operator()(const Variable<T, D>& x) {
        const LayerScope scope(this->name());
        return observed(x, forward(x));
    }

protected:
    // Tells the observer, if there is one, and passes y on.
    Variable<T, D> observed(const Variable<T, D>& x, Variable<T, D> y) const {
        this->observe(x.shape(), y.shape());
        return y;
    }
};

// Evaluation mode for a scope. Afterwards, also after an error, the mode that was.
template <FloatingElement P, Device D>
class EvaluationScope {
public:
    explicit EvaluationScope(ModuleTree<P, D>& module) : module_(module), was_training_(module.is_training()) {
        module_.eval();
    }
    ~EvaluationScope() { module_.train(was_training_); }
    EvaluationScope(const EvaluationScope&) = delete;
    EvaluationScope& operator=(const EvaluationScope&) = delete;

private:
    ModuleTree<P, D>& module_;
    bool was_training_;
};

}  // namespace gradus::inline GRADUS_ABI
