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

template <class T, class D>
struct Parameter {
    std::string name;
    Variable<Sum<T>, D>* variable;
    FileLayout layout;
};
template <class T, class D>
struct Buffer {  // state that training updates without a gradient: running statistics
    std::string name;
    Tensor<Sum<T>, D>* tensor;
};

template <FloatingElement T, Device D = Cpu>
class Module;

// Called after every module's forward while it is the one that forward_observer() names: how the model summary learns
// the shapes. It takes that place itself, and leaves it when it is destroyed.
template <FloatingElement T, Device D>
struct ForwardObserver {
    ForwardObserver();
    virtual ~ForwardObserver();
    ForwardObserver(const ForwardObserver&) = delete;
    ForwardObserver& operator=(const ForwardObserver&) = delete;
    virtual void after_forward(const Module<T, D>& module, const Shape& input, const Shape& output) = 0;
};
template <FloatingElement T, Device D>
ForwardObserver<T, D>*& forward_observer() {
    static thread_local ForwardObserver<T, D>* observer = nullptr;
    return observer;
}
template <FloatingElement T, Device D>
ForwardObserver<T, D>::ForwardObserver() {
    forward_observer<T, D>() = this;
}
template <FloatingElement T, Device D>
ForwardObserver<T, D>::~ForwardObserver() {
    forward_observer<T, D>() = nullptr;
}

template <FloatingElement T, Device D>
class Module {
public:
    Module() = default;
    virtual ~Module() = default;
    Module(const Module&) = delete;
    Module& operator=(const Module&) = delete;

    virtual Variable<T, D> forward(const Variable<T, D>& x) = 0;
    virtual const char* type() const { return "Module"; }
    // Multiply-adds of one forward pass, of this module without its children.
    virtual Index macs(const Shape& /*input*/, const Shape& /*output*/) const { return 0; }

    Variable<T, D> operator()(const Variable<T, D>& x) {
        const LayerScope scope(name_);
        return observed(x, forward(x));
    }

    // Parameters (or buffers) of this module and, after them, of its children, in the order of registration.
    std::vector<Parameter<T, D>> named_parameters() {
        std::vector<Parameter<T, D>> all;
        collect_parameters("", all);
        return all;
    }
    // What an optimiser takes: Sgd<float> sgd(net.parameters(), {.momentum = 0.9}).
    std::vector<Variable<Sum<T>, D>> parameters() {
        std::vector<Variable<Sum<T>, D>> all;
        for (const Parameter<T, D>& parameter : named_parameters()) all.push_back(*parameter.variable);
        return all;
    }
    std::vector<Buffer<T, D>> named_buffers() {
        std::vector<Buffer<T, D>> all;
        collect_buffers("", all);
        return all;
    }
    Index parameter_count() {
        Index count = 0;
        for (const Variable<Sum<T>, D>& parameter : parameters()) count += parameter.value().numel();
        return count;
    }
    // Parameters of this module without its children.
    Index own_parameter_count() const {
        Index count = 0;
        for (const Parameter<T, D>& parameter : parameters_) count += parameter.variable->value().numel();
        return count;
    }

    void zero_grad() {
        for (Variable<Sum<T>, D>& parameter : parameters()) parameter.zero_grad();
    }
    // Training mode (batch statistics, dropout) or evaluation mode, for this module and all below it.
    void train(bool on = true) {
        training_ = on;
        for (Module* child : children_) child->train(on);
    }
    void eval() { train(false); }
    bool is_training() const { return training_; }
    const std::string& name() const { return name_; }
    bool is_leaf() const { return children_.empty(); }

protected:
    void child(std::string name, Module& layer) {
        check_name(name);
        GRADUS_CHECK(layer.name_.empty(), "module: '", name, "' is registered already, as '", layer.name_, "'");
        layer.name_ = std::move(name);
        children_.push_back(&layer);
    }
    void parameter(std::string name, Variable<Sum<T>, D>& variable, FileLayout layout = FileLayout::same) {
        check_name(name);
        parameters_.push_back({std::move(name), &variable, layout});
    }
    void buffer(std::string name, Tensor<Sum<T>, D>& tensor) {
        check_name(name);
        buffers_.push_back({std::move(name), &tensor});
    }

    // Tells the observer, if there is one, and passes y on.
    Variable<T, D> observed(const Variable<T, D>& x, Variable<T, D> y) const {
        if (ForwardObserver<T, D>* observer = forward_observer<T, D>())
            observer->after_forward(*this, x.shape(), y.shape());
        return y;
    }

private:
    // Names are the keys of a state dict, and dots separate them there.
    void check_name(const std::string& name) const {
        GRADUS_CHECK(!name.empty() && name.find('.') == std::string::npos,
                     "module: a name must have a character and no dot, got '", name, "'");
        bool taken = false;
        for (const Parameter<T, D>& p : parameters_) taken |= p.name == name;
        for (const Buffer<T, D>& b : buffers_) taken |= b.name == name;
        for (const Module* child : children_) taken |= child->name_ == name;
        GRADUS_CHECK(!taken, "module: there is a '", name, "' already");
    }
    static std::string path(const std::string& prefix, const std::string& name) {
        return prefix.empty() ? name : prefix + "." + name;
    }
    void collect_parameters(const std::string& prefix, std::vector<Parameter<T, D>>& all) {
        for (const Parameter<T, D>& p : parameters_) all.push_back({path(prefix, p.name), p.variable, p.layout});
        for (Module* child : children_) child->collect_parameters(path(prefix, child->name_), all);
    }
    void collect_buffers(const std::string& prefix, std::vector<Buffer<T, D>>& all) {
        for (const Buffer<T, D>& b : buffers_) all.push_back({path(prefix, b.name), b.tensor});
        for (Module* child : children_) child->collect_buffers(path(prefix, child->name_), all);
    }

    std::string name_;
    bool training_ = true;
    std::vector<Parameter<T, D>> parameters_;
    std::vector<Buffer<T, D>> buffers_;
    std::vector<Module*> children_;
};

// Evaluation mode for a scope. Afterwards, also after an error, the mode that was.
template <FloatingElement T, Device D>
class EvaluationScope {
public:
    explicit EvaluationScope(Module<T, D>& module) : module_(module), was_training_(module.is_training()) {
        module_.eval();
    }
    ~EvaluationScope() { module_.train(was_training_); }
    EvaluationScope(const EvaluationScope&) = delete;
    EvaluationScope& operator=(const EvaluationScope&) = delete;

private:
    Module<T, D>& module_;
    bool was_training_;
};

}  // namespace gradus::inline GRADUS_ABI
