// softmax/cross_entropy_cuda.cuh   The CUDA twins of cross_entropy.hpp: a team of threads for each row of logits
//                                  (row_teams_cuda.cuh), which looks at the targets from registers.
// Cost     forward reads the logits once (what a row has beyond a tile twice) and writes three numbers a row, backward
//          reads them and writes dz. Labels are 8 bytes a row; soft targets are as large as the logits in float. An
//          exponential an element. check_labels makes the host wait for the stream, once a loss.
// Roofline of 1000 classes: forward 4 bytes and 4 FLOP a logit, 1.0 FLOP a byte, backward 8 and 6, 0.75: bound by the
//          memory, also where an exponential counts as the 20 operations that it is.
#pragma once

#include "gradus/machine/cuda/find_first.hpp"
#include "gradus/softmax/cross_entropy.hpp"
#include "gradus/softmax/row_teams_cuda.cuh"

namespace gradus::inline GRADUS_ABI {

// t(n, k) for the team's row n: soft targets and weights are read in runs, labels are those of the block's rows.
template <class T, int N>
struct TargetRow {
    using Tile = typename RowShare<T, N>::Tile;
    const CrossEntropyTargets<Sum<T>>& by;
    const RowShare<T, N>& mine;
    std::int64_t label;
    bool counts;

    __device__ __forceinline__ TargetRow(const CrossEntropyTargets<Sum<T>>& targets, const RowShare<T, N>& share,
                                         const std::int64_t* labels)
        : by(targets), mine(share), label(-1), counts(mine.has_part()) {
        if (!mine.has_part() || by.labels.size() == 0) return;
        label = labels[mine.number];
        counts = label != by.ignore_index;
    }
    // 0 behind the row.
    __device__ __forceinline__ void load(Index tile, Tile& t) const {
        const int size = mine.size_of(tile);
        const Index from_here = label - tile;
        const int label_at = 0 <= from_here && from_here < size ? static_cast<int>(from_here) : -1;
        for (int r = 0; r < mine.runs; ++r) {
            const int k = mine.at(r);
            for (int i = 0; i < N; ++i) t[r][i] = k >= size ? Sum<T>(0) : k + i == label_at ? by.on : by.off;
        }
        if (by.labels.size() == 0) mine.load_row(by.soft.data() + mine.row * mine.teams.K, tile, 0, t);
        if (by.weights.size() > 0) {
            Tile weights;
            mine.load_row(by.weights.data(), tile, 0, weights);
            for (int r = 0; r < mine.runs; ++r)
                for (int i = 0; i < N; ++i) t[r][i] *= weights[r][i];
        }
    }
};

// team_blocks for these kernels: with the targets' addresses and a row of weights they need more than 80 registers.
template <class T>
inline constexpr int cross_entropy_blocks = sizeof(Sum<T>) == 4 ? 2 : 1;

template <class T, int N>
__global__ void __launch_bounds__(team_block, cross_entropy_blocks<T>)
    cross_entropy_forward_kernel(const T* z, CrossEntropyTargets<Sum<T>> targets, Sum<T>* m, Sum<T>* s, Sum<T>* loss,
                                 RowTeams teams) {
    GRADUS_SHARED(Sum<T>, shared, [team_warps]);
    GRADUS_SHARED(std::int64_t, labels, [team_block]);
    GRADUS_SHARED(Sum<T>, results, [3][team_block]);
    const RowShare<T, N> mine(teams);
    const RowOfThread one(teams);
    if (one.is_there && targets.labels.size() > 0) labels[one.number] = targets.labels(one.row);
    __syncthreads();
    typename RowShare<T, N>::Tile v, t;
    const SoftmaxSums<Sum<T>> sums = softmax_sums(mine, z, v, shared);
    const TargetRow<T, N> target(targets, mine, labels);
    const Sum<T> log_s = Math::log(sums.s);
    Sum<T> sum = 0;
    for (Index tile = teams.last_tile(); tile >= 0 && target.counts; tile -= teams.tile()) {
        if (tile < teams.last_tile()) mine.load(z, tile, 0, v);
        target.load(tile, t);
        for (int r = 0; r < mine.runs; ++r)
            for (int i = 0; i < N; ++i)  // a class of target 0 does not matter, even where its logit is -infinity
                if (t[r][i] != 0) sum += t[r][i] * ((sums.m - v[r][i]) + log_s);
    }
    sum = team_reduce(sum, teams.threads, shared, AddTwo{});
    if (mine.has_part() && mine.rank == 0) {
        results[0][mine.number] = sums.m;
        results[1][mine.number] = sums.s;
        results[2][mine.number] = sum;
    }
    __syncthreads();
    if (!one.is_there) return;
    m[one.row] = results[0][one.number];
    s[one.row] = results[1][one.number];
    loss[one.row] = results[2][one.number];
}
template <class T>
void cross_entropy_forward(Cuda, Matrix<const T> z, const CrossEntropyTargets<Sum<T>>& t, Vector<Sum<T>> m,
                           Vector<Sum<T>> s, Vector<Sum<T>> loss) {
    if (z.size() == 0) return;
    with_run_length<T>(z.shape()[1], {z.data()}, [&](auto length) {
        constexpr int N = decltype(length)::value;
        const RowTeams teams(z.shape()[0], z.shape()[1], N);
        launch(cross_entropy_forward_kernel<T, N>, teams.blocks(), team_block, 0, current_stream(), z.data(), t,
               m.data(), s.data(), loss.data(), teams);
    });
}

// Where there are more rows than this, every block adds up so many of them, and a last block adds the blocks' sums.
inline constexpr Index total_rows = 4096;

// One block, and one that adds up what others have found: `sums` and `weights` have `count` elements.
template <class S>
__global__ void __launch_bounds__(team_block)
    cross_entropy_finish_kernel(const S* sums, const S* weights, Index count, Reduction reduction, S* scale, S* total) {
    GRADUS_SHARED(S, shared, [team_warps]);
    S sum = 0, weight = 0;
    for (Index i = threadIdx.x; i < count; i += team_block) {
        sum += sums[i];
        weight += weights[i];
    }
    sum = team_reduce(sum, team_block, shared, AddTwo{});
    weight = team_reduce(weight, team_block, shared, AddTwo{});
    if (threadIdx.x != 0) return;
    const S factor = reduction == Reduction::sum ? S(1) : weight != 0 ? 1 / weight : S(0);
    scale[0] = factor;
    total[0] = factor * sum;
}
template <class S>
__global__ void __launch_bounds__(team_block)
    cross_entropy_sums_kernel(Vector<const S> loss, CrossEntropyTargets<S> t, S* sums, S* weights) {
    GRADUS_SHARED(S, shared, [team_warps]);
    const Index begin = blockIdx.x * total_rows, end = begin + total_rows;
    S sum = 0, weight = 0;
    for (Index n = begin + threadIdx.x; n < end && n < loss.size(); n += team_block) {
        sum += loss(n);
        weight += t.row_weight(n);
    }
    sum = team_reduce(sum, team_block, shared, AddTwo{});
    weight = team_reduce(weight, team_block, shared, AddTwo{});
    if (threadIdx.x != 0) return;
    sums[blockIdx.x] = sum;
    weights[blockIdx.x] = weight;
}
template <class S>
void cross_entropy_total(Cuda, Vector<const S> loss, const CrossEntropyTargets<S>& t, Reduction reduction,
                         Vector<S> scale, Vector<S> total) {
    const Index blocks = (loss.size() + total_rows - 1) / total_rows;
    const CudaBuffer<S> sums(blocks), weights(blocks);
    if (blocks > 0)
        launch(cross_entropy_sums_kernel<S>, static_cast<unsigned>(blocks), team_block, 0, current_stream(), loss, t,
               sums.data(), weights.data());
    launch(cross_entropy_finish_kernel<S>, 1, team_block, 0, current_stream(), sums.data(), weights.data(), blocks,
           reduction, scale.data(), total.data());
}

template <class T, int N>
__global__ void __launch_bounds__(team_block, cross_entropy_blocks<T>)
    cross_entropy_backward_kernel(const T* z, CrossEntropyTargets<Sum<T>> targets, const Sum<T>* m, const Sum<T>* s,
                                  const Sum<T>* scale, Vector<const Sum<T>> dloss, T* dz, RowTeams teams, Write mode) {
    GRADUS_SHARED(Sum<T>, shared, [team_warps]);
    GRADUS_SHARED(std::int64_t, labels, [team_block]);
    GRADUS_SHARED(Sum<T>, of_rows, [3][team_block]);
    const RowShare<T, N> mine(teams);
    const RowOfThread one(teams);
    if (one.is_there) {
        if (targets.labels.size() > 0) labels[one.number] = targets.labels(one.row);
        of_rows[0][one.number] = m[one.row];
        of_rows[1][one.number] = s[one.row];
        of_rows[2][one.number] = scale[0] * dloss(dloss.size() == 1 ? 0 : one.row);
    }
    __syncthreads();
    const TargetRow<T, N> target(targets, mine, labels);
    typename RowShare<T, N>::Tile v, t;
    Sum<T> mass = 0;
    for (Index tile = 0; tile < teams.K; tile += teams.tile()) {
        target.load(tile, t);
        for (int r = 0; r < mine.runs; ++r)
            for (int i = 0; i < N; ++i) mass += t[r][i];
    }
    mass = team_reduce(mass, teams.threads, shared, AddTwo{});
    if (!mine.has_part()) return;
    // A row that does not count is computed too: its zeros become NaN where its logits have no softmax.
    const Sum<T> largest = of_rows[0][mine.number], share = mass / of_rows[1][mine.number];
    const Sum<T> d = target.counts ? of_rows[2][mine.number] : Sum<T>(0);
    for (Index tile = teams.last_tile(); tile >= 0; tile -= teams.tile()) {
        mine.load(z, tile, 0, v);
        if (tile < teams.last_tile()) target.load(tile, t);
        for (int r = 0; r < mine.runs; ++r)
            for (int i = 0; i < N; ++i) v[r][i] = d * (Math::exp(v[r][i] - largest) * share - t[r][i]);  // (1)
        mine.put(dz, tile, v, mode);
    }
}
template <class T>
void cross_entropy_backward(Cuda, Matrix<const T> z, const CrossEntropyTargets<Sum<T>>& t, Vector<const Sum<T>> m,
                            Vector<const Sum<T>> s, Vector<const Sum<T>> scale, Vector<const Sum<T>> dloss,
                            Matrix<T> dz, Write mode) {
    if (z.size() == 0) return;
    with_run_length<T>(z.shape()[1], {z.data(), dz.data()}, [&](auto length) {
        constexpr int N = decltype(length)::value;
        const RowTeams teams(z.shape()[0], z.shape()[1], N);
        launch(cross_entropy_backward_kernel<T, N>, teams.blocks(), team_block, 0, current_stream(), z.data(), t,
               m.data(), s.data(), scale.data(), dloss, dz.data(), teams, mode);
    });
}

struct IsNoClass {
    const std::int64_t* labels;
    Index classes;
    std::int64_t ignore_index;
    __device__ bool operator()(Index n) const {
        const std::int64_t label = labels[n];
        return (label < 0 || label >= classes) && label != ignore_index;
    }
};
// Not within a graph, where the host cannot wait for an answer: a label that is no class goes unnoticed there.
inline void check_labels(Cuda, const char* operation, Vector<const std::int64_t> labels, Index classes,
                         std::int64_t ignore_index) {
    if (is_capturing(Cuda{})) return;
    const Index n = find_first(labels.size(), IsNoClass{labels.data(), classes, ignore_index});
    if (n == labels.size()) return;
    check_label(operation, element_on_host(labels.data() + n), n, labels.size(), classes, ignore_index);
}

}  // namespace gradus::inline GRADUS_ABI
