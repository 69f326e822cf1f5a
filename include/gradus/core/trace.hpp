// core/trace.hpp   Where the program is: which layer of which network, and which operation.
// Error messages, anomaly detection and profilers all want to say "layer2.0.conv1, conv2d". Modules open a
// LayerScope, operations an OperationScope; both are a push and a pop on a per-thread stack.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gradus/core/abi.hpp"

namespace gradus::inline GRADUS_ABI {

struct TraceState {
    std::vector<std::string_view> layers;            // the names from the root module down to the running one
    const char* operation = "";                      // the innermost running operation, "" outside of any
    void (*begin)(const char* operation) = nullptr;  // hooks for your profiler: called around every operation when set
    void (*end)(const char* operation) = nullptr;
};

inline TraceState& trace_state() {
    static thread_local TraceState state;
    return state;
}

// "layer2.0.conv1", or "" outside of any module.
inline std::string layer_path() {
    std::string path;
    for (std::string_view name : trace_state().layers) {
        if (name.empty()) continue;
        if (!path.empty()) path += '.';
        path += name;
    }
    return path;
}

// " in relu", or "" outside of any operation.
inline std::string in_operation() {
    const std::string operation = trace_state().operation;
    return operation.empty() ? "" : " in " + operation;
}

class LayerScope {
public:
    explicit LayerScope(std::string_view name) { trace_state().layers.push_back(name); }  // name must outlive the scope
    ~LayerScope() { trace_state().layers.pop_back(); }
    LayerScope(const LayerScope&) = delete;
    LayerScope& operator=(const LayerScope&) = delete;
};

class OperationScope {
public:
    explicit OperationScope(const char* name) : outer_(trace_state().operation) {
        TraceState& state = trace_state();
        state.operation = name;
        if (state.begin) state.begin(name);
    }
    ~OperationScope() {
        TraceState& state = trace_state();
        if (state.end) state.end(state.operation);
        state.operation = outer_;
    }
    OperationScope(const OperationScope&) = delete;
    OperationScope& operator=(const OperationScope&) = delete;

private:
    const char* outer_;
};

}  // namespace gradus::inline GRADUS_ABI
