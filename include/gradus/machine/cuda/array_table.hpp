// machine/cuda/array_table.hpp   One launch for many arrays: a table of them, as a kernel's parameter.
//     table.for_each_pack([&](int a, Index i, Index left) {
//         ... table.entry[a], its elements from i on, of which there are `left`, as in grid_stride.hpp ...
//     });
// Problem  A network has many parameters and most of them are tiny: half of those of ResNet-20 have 64 elements or
//          fewer. A launch for each takes longer than the work in it.
// Answer   Every array is cut into chunks of one pack for each thread of a block, the chunks of all arrays are numbered
//          through, and the blocks take them in turns, as the threads of grid_stride.hpp do with packs. The numbers
//          that a block meets rise, so it finds the array of a chunk by going on in the table, all its threads at once.
//          PyTorch's optimisers do the same ("multi tensor apply").
// A kernel copies the pointers that it needs out of the table before it uses them. Where a pointer was read from the
// table twice, for a load and for a store, nvcc 13 split the store into single elements (benchmarks/kernel_report.py
// shows it).
// A kernel takes it as `const __grid_constant__ ArrayTable<P, Entry>`, for the reason that stride_map.hpp gives.
#pragma once

#include "gradus/machine/cuda/current_stream.hpp"
#include "gradus/machine/cuda/grid_stride.hpp"

namespace gradus::inline GRADUS_ABI {

// P is the arrays' element, Entry what a kernel has to know of one of them. Where a thread takes more than one pack of
// a chunk, they lie stride_threads packs apart, so that neighbouring threads read neighbouring packs.
template <class P, class Entry, int packs_of_a_thread = 1>
struct ArrayTable {
    // A kernel may have 4 KB of parameters (Programming Guide, "Function Parameters"); 64 bytes are left for others.
    static constexpr int capacity = static_cast<int>((4096 - 64) / (sizeof(Entry) + 2 * sizeof(Index)));
    static constexpr Index chunk_elements = Index{stride_threads} * vector_length<P> * packs_of_a_thread;

    Entry entry[capacity] = {};
    Index elements[capacity] = {};
    Index end[capacity] = {};  // the number of the first chunk behind the array
    int count = 0;

    void add(const Entry& e, Index n) {
        const Index begin = chunks();
        entry[count] = e;
        elements[count] = n;
        end[count++] = begin + (n + chunk_elements - 1) / chunk_elements;
    }
    GRADUS_HOST_DEVICE Index chunks() const { return count == 0 ? 0 : end[count - 1]; }

    // Where in array a this thread's (first) pack of a chunk begins: maybe behind the last element.
    __device__ __forceinline__ Index first_pack(int a, Index chunk) const {
        const Index before = a == 0 ? 0 : end[a - 1];
        return (chunk - before) * chunk_elements + threadIdx.x * vector_length<P>;
    }
    // Calls work(a, i, left) for each pack of this thread: elements i on of array a, which has `left` from there.
    template <class Work>
    __device__ __forceinline__ void for_each_pack(const Work& work) const {
        int a = 0;
        for (Index chunk = blockIdx.x; chunk < chunks(); chunk += gridDim.x) {
            while (chunk >= end[a]) ++a;
            const Index i = first_pack(a, chunk);
            if (i < elements[a]) work(a, i, elements[a] - i);
        }
    }
};

// Launches kernel(table, others...) with what the table holds, and empties it.
template <class Table, class... Parameters, class... Arguments>
void launch_table(void (*kernel)(const Table, Parameters...), Table& table, const Arguments&... others) {
    if (table.chunks() > 0)
        launch(kernel, stride_blocks(table.chunks() * stride_threads), stride_threads, 0, current_stream(), table,
               others...);
    table.count = 0;
}

}  // namespace gradus::inline GRADUS_ABI
