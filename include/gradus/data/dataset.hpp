// data/dataset.hpp   What a data set is: images as bytes, labels, the names of the classes.
// Images stay bytes, a quarter of their size as float; the loader normalises them on the way into a batch. A data set
// of your own is this struct, filled in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gradus/core/tensor.hpp"

namespace gradus::inline GRADUS_ABI {

struct Dataset {
    std::string name;                  // "CIFAR-10"
    Tensor<std::uint8_t, Cpu> images;  // (N, H, W, C), 0 black, 255 white
    Tensor<std::int64_t, Cpu> labels;  // (N), 0 to classes.size() - 1
    std::vector<std::string> classes;  // "airplane", "automobile", ...

    Index size() const { return labels.numel(); }
    // Of one image: H * W * C.
    Index image_bytes() const { return images.shape()[1] * images.shape()[2] * images.shape()[3]; }
};

struct DataPair {
    Dataset train, test;
};

// Room for `size` images, uninitialised.
inline Dataset make_dataset(std::string name, Index size, const Shape& image, std::vector<std::string> classes) {
    GRADUS_CHECK(image.rank() == 3, "dataset: an image has a shape (H, W, C), not ", image);
    Dataset data;
    data.name = std::move(name);
    data.images = Tensor<std::uint8_t, Cpu>({size, image[0], image[1], image[2]});
    data.labels = Tensor<std::int64_t, Cpu>({size});
    data.classes = std::move(classes);
    return data;
}

// A mistake in a data set that a program put together itself. Those that come from files have been checked there.
inline void check_dataset(const Dataset& data) {
    GRADUS_CHECK(data.images.defined() && data.images.rank() == 4, "dataset: images must have a shape (N, H, W, C)");
    GRADUS_CHECK(data.labels.defined() && data.labels.rank() == 1, "dataset: labels must have a shape (N)");
    GRADUS_CHECK(data.images.shape()[0] == data.size(), "dataset: ", data.images.shape()[0], " images, but ",
                 data.size(), " labels");
    const Vector<const std::int64_t> labels = data.labels.read<1>();
    const Index classes = static_cast<Index>(data.classes.size());
    for (Index i = 0; i < labels.size(); ++i)
        GRADUS_CHECK(labels(i) >= 0 && labels(i) < classes, "dataset: label ", labels(i), " of image ", i,
                     " is not one of the ", classes, " classes");
}

}  // namespace gradus::inline GRADUS_ABI
