// data/augmentation.hpp   More images than there are: random flips and shifts (He, Zhang, Ren, Sun 2015, arXiv
//                         1512.03385, section 4.2: 4 pixels are padded on each side, and a 32x32 crop is randomly
//                         sampled from the padded image or its horizontal flip).
// Flip     with probability 1/2, left and right change places.
// Crop     the image, with P pixels of 0 (black) around it, is cut back to its size at a random place: it moves by -P
//          to P pixels down and right, each of the (2P+1)^2 shifts equally likely. Black is normalised like any pixel.
// Random   the numbers are a function of (seed, epoch, number of the image): neither the order of images, nor the batch
//          size, nor the number of threads changes what an image looks like in an epoch.
#pragma once

#include <algorithm>
#include <cstdint>

#include "gradus/core/element.hpp"
#include "gradus/core/random.hpp"

namespace gradus::inline GRADUS_ABI {

struct Augmentation {
    bool flip = false;       // for pictures of things; a digit's mirror image is no digit
    Index crop_padding = 0;  // P. The usual: 4 for 32x32 images, 1 for 8x8 digits
};

// What the loader's random numbers are for. Stream = purpose (4 bits), epoch (28 bits), image (32 bits): no two share
// numbers, nor do they with default_generator, which is stream 0.
enum class Purpose : std::uint64_t { order = 1, augmentation = 2 };

inline Generator loader_generator(std::uint64_t seed, Purpose purpose, Index epoch, Index image) {
    GRADUS_CHECK(0 <= epoch && epoch < (Index{1} << 28), "loader: epoch ", epoch, " is not between 0 and 2^28 - 1");
    GRADUS_CHECK(0 <= image && image < (Index{1} << 32), "loader: image ", image, " is not between 0 and 2^32 - 1");
    const std::uint64_t stream = static_cast<std::uint64_t>(purpose) << 60 | static_cast<std::uint64_t>(epoch) << 32 |
                                 static_cast<std::uint64_t>(image);
    return Generator{seed, stream, 0};
}

// What happens to one image.
struct Placement {
    bool flip = false;          // before the shift
    Index down = 0, right = 0;  // by how much it moves, -P to P

    friend bool operator==(const Placement&, const Placement&) = default;
};

inline Placement draw_placement(const Augmentation& augmentation, std::uint64_t seed, Index epoch, Index image) {
    Placement placement;
    const Index P = augmentation.crop_padding;
    GRADUS_CHECK(P >= 0, "augmentation: crop_padding is ", P, ", it must not be negative");
    if (!augmentation.flip && P == 0) return placement;
    Generator generator = loader_generator(seed, Purpose::augmentation, epoch, image);
    const std::uint64_t shifts = static_cast<std::uint64_t>(2 * P + 1);
    const bool heads = generator.below(2) == 1;  // drawn in any case, so that a flip does not change the shifts
    placement.flip = augmentation.flip && heads;
    placement.down = static_cast<Index>(generator.below(shifts)) - P;
    placement.right = static_cast<Index>(generator.below(shifts)) - P;
    return placement;
}

// Flips, shifts and normalises `image` (H, W, C) into `out` (H, W, C), by way of the normalisation table (C, 256).
// out(h, w, c) = table(c, image(h - down, w', c)),  w' = w - right, or W-1 - (w - right) flipped; black where that is
// outside of the image.
template <FloatingElement T>
void place_image(const std::uint8_t* image, Index H, Index W, Index C, const Placement& placement, const T* table,
                 T* out) {
    const Index begin = std::clamp(placement.right, Index{0}, W);  // columns that show the image
    const Index end = std::clamp(W + placement.right, Index{0}, W);
    const Index step = placement.flip ? -C : C;  // from a pixel of `image` to the next one of `out`
    const Index first = placement.flip ? W - 1 - (begin - placement.right) : begin - placement.right;
    for (Index h = 0; h < H; ++h) {
        const Index source_row = h - placement.down;
        const bool is_inside = 0 <= source_row && source_row < H;
        const Index row_begin = is_inside ? begin : W, row_end = is_inside ? end : W;
        for (Index w = 0; w < row_begin; ++w)
            for (Index c = 0; c < C; ++c) *out++ = table[256 * c];
        const std::uint8_t* pixel = image + (source_row * W + first) * C;
        for (Index w = row_begin; w < row_end; ++w, pixel += step)
            for (Index c = 0; c < C; ++c) *out++ = table[256 * c + pixel[c]];
        for (Index w = row_end; w < W; ++w)
            for (Index c = 0; c < C; ++c) *out++ = table[256 * c];
    }
}

}  // namespace gradus::inline GRADUS_ABI
