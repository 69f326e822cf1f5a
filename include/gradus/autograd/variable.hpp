// autograd/variable.hpp   Reverse-mode differentiation: a tensor with a place in the graph, and the tape behind it.
// Problem  With f = sum(dy * g(x)) for every operation g of a program, find df/dx for all inputs x at the cost of a few
//          forward passes (Linnainmaa 1970; Baydin et al. 2018, JMLR 18(153), section 3.2).
// Graph    Every operation that runs leaves a Node, which knows the Places of its inputs. A Place is where a value
//          stands in the graph: its gradient, and the Node that made it, which it owns. A Node never owns its output,
//          so the graph has no cycle and disappears with the last Variable on it.
//              Variable x, y --- conv2d ---> Variable z        z.place -> Conv2dNode -> x.place, y.place
// Backward walks the Nodes from the last to the first. A Node is dropped as soon as it has run, and with it the tensors
// it saved.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradus/autograd/anomaly.hpp"
#include "gradus/core/tensor.hpp"

namespace gradus::inline GRADUS_ABI {

class PlaceBase;

// One recorded operation: a struct whose fields are the edges to its inputs and the tensors that its backward needs.
class Node {
public:
    Node() : layer(layer_path()) {}
    virtual ~Node() { release_inputs(); }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    virtual const char* name() const = 0;

    const std::vector<std::shared_ptr<PlaceBase>>& inputs() const { return inputs_; }
    const std::string layer;  // "layer2.0.conv1", for messages

protected:
    std::vector<std::shared_ptr<PlaceBase>> inputs_;

private:
    // A graph of 10,000 nodes in a row would destroy itself 10,000 calls deep. So a dying node hands its inputs to a
    // list, and only the outermost destructor empties that list.
    void release_inputs() {
        static thread_local std::vector<std::shared_ptr<PlaceBase>>* pending = nullptr;
        if (pending) {
            for (std::shared_ptr<PlaceBase>& place : inputs_) pending->push_back(std::move(place));
            return;
        }
        std::vector<std::shared_ptr<PlaceBase>> list = std::move(inputs_);
        pending = &list;
        while (!list.empty()) {
            const std::shared_ptr<PlaceBase> last = std::move(list.back());
            list.pop_back();
        }
        pending = nullptr;
    }
};

// What the walk needs to know of a place, whatever its element type.
class PlaceBase {
public:
    virtual ~PlaceBase() = default;
    virtual void run_creator() = 0;  // lets the creator pass this place's gradient on to its inputs
    virtual bool has_gradient() const = 0;
    virtual void drop_gradient() = 0;
    virtual void check_gradient(std::string_view operation, std::string_view what) const = 0;  // of NaN and infinity

    std::unique_ptr<Node> creator;  // null for a leaf
    bool requires_grad = false;
    bool graph_freed = false;  // backward has been here: the creator is gone
};

template <class T, class D>
class Place;
template <Element T, Device D>
class Variable;

// The target of a gradient kernel: kernel(..., dx.write<4>(), dx.mode).
template <class T, class D>
struct GradientTarget {
    Tensor<T, D>& gradient;
    Write mode;  // overwrite for the first gradient to arrive, add after that

    template <int R>
    View<T, R> write() {
        return gradient.template write<R>();
    }
};

// An input of a node.
template <class T, class D>
class Edge {
public:
    Edge() = default;
    explicit Edge(Place<T, D>* place) : place_(place) {}

    // False where the input is a constant: the kernel need not run.
    bool needs_gradient() const { return place_ != nullptr && place_->requires_grad; }
    const Shape& shape() const { return place_->shape; }

    // Where a kernel writes its contribution. Allocates on the first one.
    GRADUS_GLUE GradientTarget<T, D> target() const {
        const Write mode = place_->gradient.defined() ? Write::add : Write::overwrite;
        if (mode == Write::overwrite) place_->gradient = Tensor<T, D>(place_->shape);
        place_->own_gradient();
        return {place_->gradient, mode};
    }
    // For operations that pass a gradient on unchanged: shares dy where nothing has arrived yet. False means: use
    // target(). A leaf does not share: its gradient stays, and its user may write to it.
    GRADUS_GLUE bool accept(const Tensor<T, D>& dy) const {
        if (place_->gradient.defined() || !place_->creator) return false;
        place_->gradient = dy.reshape(place_->shape);
        return true;
    }

private:
    Place<T, D>* place_ = nullptr;  // kept alive by the node's inputs
};

// A tensor that a node keeps for its backward.
template <class T, class D>
class Saved {
public:
    Saved() = default;
    Saved(const Tensor<T, D>& tensor) : tensor_(tensor), version_(tensor.version()) {}

    const Tensor<T, D>& get() const {
        GRADUS_CHECK(tensor_.version() == version_, "backward: a tensor of shape ", tensor_.shape(),
                     " that was saved for the gradient has been written to since the forward pass");
        return tensor_;
    }

private:
    Tensor<T, D> tensor_;
    std::uint64_t version_ = 0;
};

// A node whose output has elements T. An operation derives from it, names itself and writes its inputs' gradients.
template <class T, class D>
class NodeOf : public Node {
public:
    virtual void backward(const Tensor<T, D>& dy) = 0;

    // Connects an input and returns the edge to it.
    template <class U>
    Edge<U, D> input(const Variable<U, D>& x) {
        inputs_.push_back(x.place());
        return Edge<U, D>(x.place().get());
    }
};

// A node that an operation fills in and gives to its output. Not a std::unique_ptr<N>: for every such type g++ compiles
// thirty functions, in 20 ms, and a network in all precisions has dozens of types of nodes.
template <class N>
class NewNode {
public:
    NewNode() = default;  // none
    explicit NewNode(N* node) : node_(node) {}
    explicit operator bool() const { return node_ != nullptr; }
    N* operator->() const { return static_cast<N*>(node_.get()); }
    std::unique_ptr<Node> release() { return std::move(node_); }

private:
    std::unique_ptr<Node> node_;
};
template <std::derived_from<Node> N, class... Arguments>
GRADUS_GLUE NewNode<N> make_node(Arguments&&... arguments) {
    return NewNode<N>(new N(std::forward<Arguments>(arguments)...));
}

template <class T, class D>
class Place final : public PlaceBase {
public:
    explicit Place(const Shape& s) : shape(s) {}

    void run_creator() override { static_cast<NodeOf<T, D>&>(*creator).backward(gradient); }
    bool has_gradient() const override { return gradient.defined(); }
    void drop_gradient() override { gradient = {}; }
    GRADUS_GLUE void check_gradient(std::string_view operation, std::string_view what) const override {
        if (gradient.defined()) check_finite(operation, what, gradient);
    }

    // Makes the gradient safe to add to: accept() may have shared it with another place.
    void own_gradient() {
        if (!gradient.is_sole_owner()) gradient = gradient.clone();
    }

    Shape shape;
    Tensor<T, D> gradient;  // df/dvalue: undefined until backward reaches this place
};

// Recording is on unless a NoGrad object lives: for evaluation, and for optimiser updates.
inline bool& recording_enabled() {
    static thread_local bool enabled = true;
    return enabled;
}
class NoGrad {
public:
    NoGrad() : before_(std::exchange(recording_enabled(), false)) {}
    ~NoGrad() { recording_enabled() = before_; }
    NoGrad(const NoGrad&) = delete;
    NoGrad& operator=(const NoGrad&) = delete;

private:
    bool before_;
};

template <Element T, Device D = Cpu>
class Variable {
public:
    using ElementType = T;
    using DeviceType = D;

    Variable() = default;
    GRADUS_NOT_INLINE Variable(const Variable&) = default;
    Variable(Variable&&) noexcept = default;
    GRADUS_NOT_INLINE Variable& operator=(const Variable&) = default;
    GRADUS_NOT_INLINE Variable& operator=(Variable&&) noexcept = default;
    GRADUS_NOT_INLINE ~Variable() {}
    // A leaf: data (requires_grad false) or a parameter (true).
    GRADUS_GLUE explicit Variable(Tensor<T, D> value, bool requires_grad = false)
        : value_(std::move(value)), place_(std::make_shared<Place<T, D>>(value_.shape())) {
        place_->requires_grad = requires_grad;
    }
    // The output of a recorded operation, and of one that is not recorded, since nothing needs a gradient.
    template <std::derived_from<NodeOf<T, D>> N>
    Variable(Tensor<T, D> value, NewNode<N> node) : Variable(std::move(value), node.release()) {}
    Variable(Tensor<T, D> value, std::nullptr_t) : Variable(std::move(value), std::unique_ptr<Node>()) {}

    bool defined() const { return place_ != nullptr; }
    const Tensor<T, D>& value() const { return value_; }
    Tensor<T, D>& mutable_value() { return value_; }
    const Shape& shape() const { return value_.shape(); }
    bool requires_grad() const { return place_ && place_->requires_grad; }
    bool is_leaf() const { return !place_ || !place_->creator; }
    T item() const { return value_.item(); }
    const std::shared_ptr<Place<T, D>>& place() const { return place_; }

    // df/dvalue after backward(); undefined where no gradient arrived. Only leaves keep theirs.
    const Tensor<T, D>& grad() const { return defined_place().gradient; }
    Tensor<T, D>& mutable_grad() { return defined_place().gradient; }
    void zero_grad() { defined_place().gradient = {}; }

    // The same value, outside of the graph.
    Variable detach() const { return Variable(value_); }

    // Adds df/dx to the gradient of every leaf x that requires one, for f = this (one element) or f = sum(dy * this).
    void backward() const;
    void backward(const Tensor<T, D>& dy) const;

private:
    GRADUS_GLUE Variable(Tensor<T, D> value, std::unique_ptr<Node> creator)
        : Variable(std::move(value), creator != nullptr) {
        place_->creator = std::move(creator);
        if (anomaly_detection()) check_finite(trace_state().operation, "the result", value_);
    }
    Place<T, D>& defined_place() const {
        GRADUS_CHECK(defined(), "variable: the gradient of an undefined Variable");
        return *place_;
    }

    Tensor<T, D> value_;
    std::shared_ptr<Place<T, D>> place_;
};

// Whether an operation on these inputs has to be recorded.
template <class... Variables>
bool needs_gradient(const Variables&... inputs) {
    return recording_enabled() && (inputs.requires_grad() || ...);
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/autograd/backward.hpp"
