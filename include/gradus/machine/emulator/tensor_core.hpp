// machine/emulator/tensor_core.hpp   wmma: a warp multiplies two small matrices as one operation.
// Programming Guide, "Warp Matrix Functions". A fragment is a matrix that the 32 lanes of a warp hold together: for
// 16x16x16 each lane has 8 of its 256 elements. D = A B + C; A and B are half or bfloat16, C and D float.
// CUDA does not say which lane holds which element, and it differs from card to card. Here the layout is unlike any
// card's and changes with the seed of the settings, so that code that relies on one fails. What is allowed: the same
// operation on every element of a fragment, and fragments of one type have one layout.
// What loads and stores cost in shared memory is counted as nvcc compiles them from sm_75 on: A and B by ldmatrix, 16
// bytes a lane, 8 lines of the matrix at a time (the machine code has LDSM); sums as mma.m16n8k16 leaves them, two
// neighbours of a row in a lane, 8 rows in a warp (PTX ISA, "Matrix Fragments for mma.m16n8k16").
// Checked: the pointer is aligned to 32 bytes, the leading dimension is a multiple of 16 bytes, and all 32 lanes come.
// Products are exact in float; sums are in float, k rising. A card adds in another order, with other rounding.
#pragma once

#include "gradus/machine/emulator/half_intrinsics.hpp"
#include "gradus/machine/emulator/observer.hpp"
#include "gradus/machine/emulator/warp.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

inline constexpr unsigned whole_warp = 0xffffffffu;

// Which of `count` elements is number `element` of this lane: a permutation, because 37 is odd and count a power of 2.
inline unsigned fragment_position(unsigned lane, unsigned element, unsigned count) {
    return ((lane * (count / lanes_per_warp) + element) * 37 + settings().seed * 11) & (count - 1);
}

inline void check_fragment_address(const void* address, unsigned leading, std::size_t element_bytes, const char* name,
                                   Site site) {
    if (reinterpret_cast<std::uintptr_t>(address) % 32 != 0)
        fail_in_kernel(text(name, " at ", site, ": the pointer is not a multiple of 32 bytes"));
    if (leading * element_bytes % 16 != 0)
        fail_in_kernel(text(name, " at ", site, ": the leading dimension ", leading, " is not a multiple of 16 bytes"));
}
// The lanes of the warp that can come have come. Some may have returned, or not exist: a block of 16 threads.
inline void require_whole_warp(Warp& warp, std::uint32_t arrived) {
    for (unsigned i = 0; arrived != whole_warp && i < warp.open_count; ++i)
        if (warp.open[i].arrived == arrived)
            fail_in_kernel(text(warp.open[i].name, " at ", warp.open[i].site, " needs all 32 lanes of the warp, here ",
                                std::popcount(arrived), " take part"));
}

}  // namespace gradus::inline GRADUS_ABI::emulator

namespace gradus::inline GRADUS_ABI::cuda_names {
namespace nvcuda::wmma {

struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };

// What a fragment is used for, with the shape of its matrix.
struct matrix_a {
    static constexpr unsigned rows(unsigned M, unsigned, unsigned) { return M; }
    static constexpr unsigned columns(unsigned, unsigned, unsigned K) { return K; }
};
struct matrix_b {
    static constexpr unsigned rows(unsigned, unsigned, unsigned K) { return K; }
    static constexpr unsigned columns(unsigned, unsigned N, unsigned) { return N; }
};
struct accumulator {
    static constexpr unsigned rows(unsigned M, unsigned, unsigned) { return M; }
    static constexpr unsigned columns(unsigned, unsigned N, unsigned) { return N; }
};

template <class Use, int M, int N, int K, class T, class Layout = void>
struct fragment {
    static_assert((M == 16 && N == 16 && K == 16) || (M == 32 && N == 8 && K == 16) || (M == 8 && N == 32 && K == 16),
                  "wmma on 16-bit types has the shapes 16x16x16, 32x8x16 and 8x32x16");
    static_assert(std::same_as<T, __half> || std::same_as<T, __nv_bfloat16> || std::same_as<T, float>);
    static constexpr unsigned rows = Use::rows(M, N, K), columns = Use::columns(M, N, K);
    static constexpr unsigned count = rows * columns;
    static constexpr int num_elements = static_cast<int>(count / 32);
    using element_type = T;
    T x[num_elements];
};

template <class Fragment>
void fill_fragment(Fragment& f, typename Fragment::element_type value) {
    for (auto& element : f.x) element = value;
}

// Element `element` of this lane's part, as an offset from the matrix' first.
template <class Fragment>
std::size_t offset_in_matrix(unsigned element, unsigned leading, bool by_column) {
    const unsigned position = emulator::fragment_position(emulator::current_lane(), element, Fragment::count);
    const unsigned row = position / Fragment::columns, column = position % Fragment::columns;
    return by_column ? std::size_t{column} * leading + row : std::size_t{row} * leading + column;
}

// The accesses of this lane, where a warp reads or writes a whole matrix.
template <class Fragment, class T>
GRADUS_EMULATOR_QUIET void tell_matrix(const T* matrix, unsigned leading, bool by_column, bool is_write,
                                       emulator::Site site) {
    const unsigned lane = emulator::current_lane();
    if constexpr (sizeof(T) == 2) {
        constexpr unsigned word = 8;  // elements of 16 bytes
        const unsigned lines = by_column ? Fragment::columns : Fragment::rows;
        for (unsigned w = lane; w < Fragment::count / word; w += emulator::lanes_per_warp)
            emulator::tell_access(matrix + w % lines * leading + w / lines * word, 16, is_write, false, site);
    } else {
        for (unsigned row = lane / 4; row < Fragment::rows; row += 8)
            for (unsigned column = lane % 4 * 2; column < Fragment::columns; column += 8) {
                if (!by_column) {
                    emulator::tell_access(matrix + row * leading + column, 2 * sizeof(T), is_write, false, site);
                    continue;
                }
                for (unsigned neighbour = 0; neighbour < 2; ++neighbour)
                    emulator::tell_access(matrix + (column + neighbour) * leading + row, sizeof(T), is_write, false,
                                          site);
            }
    }
}

template <class Fragment, class T>
GRADUS_EMULATOR_QUIET void load_fragment(Fragment& f, const T* matrix, unsigned leading, bool by_column,
                                         emulator::Site site) {
    emulator::check_fragment_address(matrix, leading, sizeof(T), "wmma::load_matrix_sync", site);
    emulator::meet(emulator::whole_warp, "wmma::load_matrix_sync", emulator::require_whole_warp, site);
    GRADUS_EMULATOR_AT_WORK;
    tell_matrix<Fragment>(matrix, leading, by_column, false, site);
    for (unsigned e = 0; e < static_cast<unsigned>(Fragment::num_elements); ++e)
        f.x[e] = matrix[offset_in_matrix<Fragment>(e, leading, by_column)];
}

template <class Use, int M, int N, int K, class T, class Layout>
GRADUS_EMULATOR_QUIET void load_matrix_sync(fragment<Use, M, N, K, T, Layout>& f, const T* matrix, unsigned leading,
                                            const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    load_fragment(f, matrix, leading, std::same_as<Layout, col_major>, {file, line});
}
template <int M, int N, int K, class T>
GRADUS_EMULATOR_QUIET void load_matrix_sync(fragment<accumulator, M, N, K, T>& f, const T* matrix, unsigned leading,
                                            layout_t layout, const char* file = __builtin_FILE(),
                                            unsigned line = __builtin_LINE()) {
    load_fragment(f, matrix, leading, layout == mem_col_major, {file, line});
}
template <int M, int N, int K, class T>
GRADUS_EMULATOR_QUIET void store_matrix_sync(T* matrix, const fragment<accumulator, M, N, K, T>& f, unsigned leading,
                                             layout_t layout, const char* file = __builtin_FILE(),
                                             unsigned line = __builtin_LINE()) {
    using Fragment = fragment<accumulator, M, N, K, T>;
    emulator::check_fragment_address(matrix, leading, sizeof(T), "wmma::store_matrix_sync", {file, line});
    emulator::meet(emulator::whole_warp, "wmma::store_matrix_sync", emulator::require_whole_warp, {file, line});
    GRADUS_EMULATOR_AT_WORK;
    tell_matrix<Fragment>(matrix, leading, layout == mem_col_major, true, {file, line});
    for (unsigned e = 0; e < static_cast<unsigned>(Fragment::num_elements); ++e)
        matrix[offset_in_matrix<Fragment>(e, leading, layout == mem_col_major)] = f.x[e];
}

// The last lane to arrive collects the three matrices from all lanes, multiplies, and hands the result out.
template <class FragmentD, class FragmentA, class FragmentB, class FragmentC>
struct Multiplication {
    FragmentD* d;
    const FragmentA* a;
    const FragmentB* b;
    const FragmentC* c;

    template <class Fragment>
    static void collect(float* matrix, const Fragment& part, unsigned lane) {
        for (unsigned e = 0; e < static_cast<unsigned>(Fragment::num_elements); ++e)
            matrix[emulator::fragment_position(lane, e, Fragment::count)] = static_cast<float>(part.x[e]);
    }
    GRADUS_EMULATOR_QUIET static void finish(emulator::Warp& warp, std::uint32_t arrived) {
        emulator::require_whole_warp(warp, arrived);
        constexpr unsigned M = FragmentA::rows, K = FragmentA::columns, N = FragmentB::columns;
        float a[M * K], b[K * N], sum[M * N];
        for (unsigned lane = 0; lane < emulator::lanes_per_warp; ++lane) {
            const auto& part = *reinterpret_cast<const Multiplication*>(warp.given[lane]);
            collect(a, *part.a, lane);
            collect(b, *part.b, lane);
            collect(sum, *part.c, lane);
        }
        for (unsigned i = 0; i < M; ++i)
            for (unsigned k = 0; k < K; ++k)
                for (unsigned j = 0; j < N; ++j) sum[i * N + j] += a[i * K + k] * b[k * N + j];
        for (unsigned lane = 0; lane < emulator::lanes_per_warp; ++lane) {
            const auto& part = *reinterpret_cast<const Multiplication*>(warp.given[lane]);
            for (unsigned e = 0; e < static_cast<unsigned>(FragmentD::num_elements); ++e)
                part.d->x[e] =
                    typename FragmentD::element_type(sum[emulator::fragment_position(lane, e, FragmentD::count)]);
        }
    }
};

template <int M, int N, int K, class TD, class T, class LayoutA, class LayoutB, class TC>
GRADUS_EMULATOR_QUIET void mma_sync(fragment<accumulator, M, N, K, TD>& d,
                                    const fragment<matrix_a, M, N, K, T, LayoutA>& a,
                                    const fragment<matrix_b, M, N, K, T, LayoutB>& b,
                                    const fragment<accumulator, M, N, K, TC>& c, const char* file = __builtin_FILE(),
                                    unsigned line = __builtin_LINE()) {
    using Parts = Multiplication<fragment<accumulator, M, N, K, TD>, fragment<matrix_a, M, N, K, T, LayoutA>,
                                 fragment<matrix_b, M, N, K, T, LayoutB>, fragment<accumulator, M, N, K, TC>>;
    const Parts parts{&d, &a, &b, &c};
    emulator::current_warp().given[emulator::current_lane()] = reinterpret_cast<std::uint64_t>(&parts);
    emulator::meet(emulator::whole_warp, "wmma::mma_sync", Parts::finish, {file, line});
}

}  // namespace nvcuda::wmma
}  // namespace gradus::inline GRADUS_ABI::cuda_names
