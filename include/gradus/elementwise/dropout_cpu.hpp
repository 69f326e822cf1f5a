// elementwise/dropout_cpu.hpp   The twin of dropout.hpp on all threads: a block of Philox serves four elements.
#pragma once

#include "gradus/elementwise/dropout.hpp"
#include "gradus/machine/cpu/chunks.hpp"

namespace gradus::inline GRADUS_ABI {

template <class T>
void dropout_apply(Cpu, const DropoutMask& mask, Vector<const T> x, Vector<T> y, Write mode) {
    static_assert(chunk_elements % 4 == 0);
    const Sum<T> growth = static_cast<Sum<T>>(mask.growth);
    for_chunks(x.size(), [&](Index begin, Index end) {
        for (Index i = begin; i < end; i += 4) {
            const std::array<std::uint32_t, 4> words = mask.words(i / 4);
            for (Index k = 0; k < std::min<Index>(4, end - i); ++k) {
                const bool stays = words[static_cast<std::size_t>(k)] >= mask.below;
                put(y(i + k), stays ? Sum<T>(x(i + k)) * growth : Sum<T>(0), mode);
            }
        }
    });
}

}  // namespace gradus::inline GRADUS_ABI
