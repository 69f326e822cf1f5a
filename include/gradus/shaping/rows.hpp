// shaping/rows.hpp   The two copies that slice, pad and concat are made of.
// Along one dimension any tensor is (A, R, B): A what lies before, R the dimension, B what lies behind, B neighbours in
// memory. A selection is `count` of the R rows: start, start + step, start + 2*step, ...
//     take_rows    small(a, i, b) = large(a, start + step*i, b)
//     place_rows   large(a, start + step*i, b) = small(a, i, b), all other rows 0 or left alone
// Each is the other's gradient: slice takes and its backward places, pad and concat place and their backward takes.
// Cost     one pass over what is read and written. Twins: rows_cpu.hpp, rows_cuda.cuh
#pragma once

#include "gradus/autograd/variable.hpp"

namespace gradus::inline GRADUS_ABI {

struct Rows {
    Index A, R, B;
    Index start, step, count;

    // Of a shape, along a dimension that may count from the end.
    static Rows along(const char* operation, const Shape& shape, int dimension) {
        const int d = dimension < 0 ? dimension + shape.rank() : dimension;
        GRADUS_CHECK(d >= 0 && d < shape.rank(), operation, ": x has shape ", shape, ", there is no dimension ",
                     dimension);
        Rows rows{1, shape[d], 1, 0, 1, shape[d]};
        for (int k = 0; k < d; ++k) rows.A *= shape[k];
        for (int k = d + 1; k < shape.rank(); ++k) rows.B *= shape[k];
        return rows;
    }
};

enum class Rest { zero, leave };  // what place_rows does to the rows that it does not place

template <class T>
void take_rows(Reference, const Rows& rows, Vector<const T> large, Vector<T> small, Write mode) {
    const auto [A, R, B, start, step, count] = rows;
    for (Index a = 0; a < A; ++a)
        for (Index i = 0; i < count; ++i)
            for (Index b = 0; b < B; ++b)
                put(small((a * count + i) * B + b), Sum<T>(large((a * R + start + step * i) * B + b)), mode);
}
template <class T>
void place_rows(Reference, const Rows& rows, Vector<const T> small, Vector<T> large, Rest rest, Write mode) {
    const auto [A, R, B, start, step, count] = rows;
    if (rest == Rest::zero && mode == Write::overwrite)
        for (Index i = 0; i < large.size(); ++i) large(i) = T(0);
    for (Index a = 0; a < A; ++a)
        for (Index i = 0; i < count; ++i)
            for (Index b = 0; b < B; ++b)
                put(large((a * R + start + step * i) * B + b), Sum<T>(small((a * count + i) * B + b)), mode);
}

}  // namespace gradus::inline GRADUS_ABI

#include "gradus/shaping/rows_cpu.hpp"
