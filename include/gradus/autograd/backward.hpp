// autograd/backward.hpp   The walk: every node once, after all nodes that used its output (reverse topological order).
// The order is found by a depth-first search with its own stack, so a chain of any length is fine, and it depends on
// the graph alone: gradients are added in the same order in every run.
#pragma once

#include <set>

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

// The places under root that an operation made, inputs before outputs (a depth-first postorder).
inline std::vector<std::shared_ptr<PlaceBase>> places_in_order(const std::shared_ptr<PlaceBase>& root) {
    struct Visit {
        std::shared_ptr<PlaceBase> place;
        std::size_t next_input;
    };
    std::vector<std::shared_ptr<PlaceBase>> order;
    std::set<const void*> seen{root.get()};
    std::vector<Visit> path{{root, 0}};
    while (!path.empty()) {
        Visit& visit = path.back();
        GRADUS_CHECK(
            !visit.place->graph_freed,
            "backward: this part of the graph has been freed by an earlier backward(); run the forward pass again");
        const Node* creator = visit.place->creator.get();
        if (creator && visit.next_input < creator->inputs().size()) {
            const std::shared_ptr<PlaceBase>& input = creator->inputs()[visit.next_input++];
            if (input->requires_grad && seen.insert(input.get()).second) path.push_back({input, 0});
            continue;
        }
        if (creator) order.push_back(visit.place);
        path.pop_back();
    }
    return order;
}

inline void check_input_gradients(const Node& node) {
    for (std::size_t i = 0; i < node.inputs().size(); ++i)
        node.inputs()[i]->check_gradient(node.name(), text("the gradient of input ", i));
}

inline void walk_back(std::vector<std::shared_ptr<PlaceBase>> order) {
    while (!order.empty()) {
        const std::shared_ptr<PlaceBase> place = std::move(order.back());
        order.pop_back();
        if (place->has_gradient()) {
            const Node& node = *place->creator;
            const LayerScope layer(node.layer);
            const OperationScope operation(node.name());
            place->run_creator();
            if (anomaly_detection()) check_input_gradients(node);
        }
        place->drop_gradient();
        place->creator = nullptr;  // with it the saved tensors go, before the next node allocates
        place->graph_freed = true;
    }
}

template <Element T, Device D>
void Variable<T, D>::backward() const {
    GRADUS_CHECK(defined(), "backward: of an undefined Variable");
    GRADUS_CHECK(value_.numel() == 1, "backward: of a result of shape ", shape(),
                 ", which is not one number; give the gradient dy of its elements");
    backward(Tensor<T, D>::ones(shape()));
}

template <Element T, Device D>
void Variable<T, D>::backward(const Tensor<T, D>& dy) const {
    GRADUS_CHECK(requires_grad(), "backward: nothing that led to this result requires a gradient");
    GRADUS_CHECK(dy.shape() == shape(), "backward: dy has shape ", dy.shape(), ", the result ", shape());
    GRADUS_CHECK(place_->creator || place_->graph_freed || !place_->gradient.defined(), "backward: of a leaf of shape ",
                 shape(), " that has a gradient already");
    std::vector<std::shared_ptr<PlaceBase>> order = places_in_order(place_);  // an error leaves no gradient behind
    place_->gradient = is_leaf() ? dy.clone() : dy;
    walk_back(std::move(order));
}

}  // namespace gradus::inline GRADUS_ABI
