// pooling/pool_windows.hpp   Which pixels a pooled pixel reads, along one axis, and which pooled pixels read a pixel.
//     strided    window i starts at i*s - p and has k pixels. There are floor((in + 2p - k) / s) + 1 windows; ceil_mode
//                rounds up, but drops a last window that would start in the padding behind the image.
//     adaptive   window i is [floor(i * in / out), ceil((i+1) * in / out)): `out` windows, of sizes that differ by at
//                most 1, overlapping where in is no multiple of out. (PyTorch's bins; He K. et al. 2014, arXiv
//                1406.4729, section 2.3.)
#pragma once

#include <algorithm>

#include "gradus/core/view.hpp"

namespace gradus::inline GRADUS_ABI {

struct IndexRange {
    Index begin, end;
    GRADUS_HOST_DEVICE Index size() const { return end - begin; }
};

struct PoolWindows {
    Index in, out;
    Index kernel, stride, padding;  // kernel 0: adaptive
    bool counts_padding;            // whether padding counts as pixels of a window

    // The pixels of the image that window i reads.
    GRADUS_HOST_DEVICE IndexRange window(Index i) const {
        if (kernel == 0) return {i * in / out, ((i + 1) * in + out - 1) / out};
        const Index start = i * stride - padding;
        return {start > 0 ? start : 0, start + kernel < in ? start + kernel : in};
    }
    // What a mean over window i divides by. Beyond the padding, where ceil_mode may reach, nothing counts.
    GRADUS_HOST_DEVICE Index divisor(Index i) const {
        if (!counts_padding) return window(i).size();
        const Index start = i * stride - padding, end = start + kernel, last = in + padding;
        return (end < last ? end : last) - start;
    }
    // The windows that read pixel h: window(i).begin <= h < window(i).end solved for i.
    GRADUS_HOST_DEVICE IndexRange readers(Index h) const {
        if (kernel == 0) return {h * out / in, ((h + 1) * out + in - 1) / in};
        const Index first = h + padding < kernel ? 0 : (h + padding - kernel) / stride + 1;
        const Index last = (h + padding) / stride + 1;
        return {first, last < out ? last : out};
    }
};

// A stride of 0 stands for the kernel's size. `operation` opens the message of an error.
inline PoolWindows strided_windows(const char* operation, Index in, Index kernel, Index stride, Index padding,
                                   bool ceil_mode, bool counts_padding = false) {
    if (stride == 0) stride = kernel;
    GRADUS_CHECK(kernel > 0 && stride > 0 && padding >= 0, operation,
                 ": needs a kernel and a stride above 0 and padding of at least 0, got kernel ", kernel, ", stride ",
                 stride, ", padding ", padding);
    GRADUS_CHECK(2 * padding <= kernel, operation, ": padding ", padding, " is more than half of the kernel, ", kernel);
    const Index room = in + 2 * padding - kernel;
    GRADUS_CHECK(in > 0 && room >= 0, operation, ": a window of ", kernel, " does not fit into ", in,
                 " pixels with padding ", padding);
    Index out = (ceil_mode ? room + stride - 1 : room) / stride + 1;
    if ((out - 1) * stride >= in + padding) --out;
    return {in, out, kernel, stride, padding, counts_padding};
}

inline PoolWindows adaptive_windows(const char* operation, Index in, Index out) {
    GRADUS_CHECK(in > 0 && out > 0, operation, ": cannot make ", out, " pixels of ", in);
    return {in, out, 0, 0, 0, false};
}

}  // namespace gradus::inline GRADUS_ABI
