// data/load_dataset.hpp   Reads the data set of a directory, whichever it is.
//     DataPair data = load_dataset("cifar-10-batches-bin").value();
// The files tell which one it is; each reader's header has its format. Looked at are the directory itself and the two
// sub-directories that the CIFAR archives unpack to.
#pragma once

#include "gradus/data/cifar.hpp"
#include "gradus/data/digits.hpp"
#include "gradus/data/idx.hpp"

namespace gradus::inline GRADUS_ABI {

struct DatasetFormat {
    const char* name;
    std::vector<std::string> signature;  // one of these files in a directory means that the data set is there
    Result<DataPair> (*read)(const std::string& directory);
    const char* looks_for;  // for the message
};

GRADUS_COLD inline std::vector<DatasetFormat> dataset_formats() {
    return {{"CIFAR-10",
             {"data_batch_1.bin", "test_batch.bin"},
             read_cifar10,
             "data_batch_1.bin to data_batch_5.bin, test_batch.bin"},
            {"CIFAR-100", {"train.bin", "test.bin"}, read_cifar100, "train.bin, test.bin"},
            {"MNIST or Fashion-MNIST",
             {"train-images-idx3-ubyte", "train-images.idx3-ubyte", "train-images-idx3-ubyte.gz",
              "train-images.idx3-ubyte.gz", "t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte",
              "t10k-images-idx3-ubyte.gz", "t10k-images.idx3-ubyte.gz"},
             read_idx,
             "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"},
            {"UCI digits", {"digits.bin"}, read_digits, "digits.bin"}};
}

// What is likely meant, where nothing is found.
inline std::string dataset_hint(const std::string& directory) {
    for (const std::string archive : {"cifar-10-binary.tar.gz", "cifar-100-binary.tar.gz"})
        if (is_file(join_path(directory, archive)))
            return "\n" + archive + " is there; unpack it first: tar xzf " + join_path(directory, archive);
    if (is_file(join_path(directory, "data_batch_1")) || is_file(join_path(directory, "train")))
        return "\nThis looks like the Python version of CIFAR; Gradus reads the binary version.";
    return "";
}

GRADUS_COLD inline Result<DataPair> load_dataset(const std::string& directory) {
    if (!is_directory(directory)) return Failure{directory + ": there is no such directory"};
    const std::vector<DatasetFormat> formats = dataset_formats();
    const DatasetFormat* found = nullptr;
    std::string found_in;
    for (const std::string& place :
         {directory, join_path(directory, "cifar-10-batches-bin"), join_path(directory, "cifar-100-binary")})
        for (const DatasetFormat& format : formats) {
            bool is_here = false;
            for (const std::string& file : format.signature) is_here = is_here || is_file(join_path(place, file));
            if (!is_here) continue;
            if (found)
                return Failure{text(directory, ": there is more than one data set, ", found->name, " in ", found_in,
                                    " and ", format.name, " in ", place, "; name the directory of one of them")};
            found = &format;
            found_in = place;
        }
    if (found) return found->read(found_in);

    std::string message = directory + ": there is no data set here. Looked for";
    for (const DatasetFormat& format : formats) message += text("\n    ", format.name, ": ", format.looks_for);
    message += "\nalso in the sub-directories cifar-10-batches-bin and cifar-100-binary.";
    return Failure{message + dataset_hint(directory)};
}

}  // namespace gradus::inline GRADUS_ABI
