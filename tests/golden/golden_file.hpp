// golden/golden_file.hpp   Reads a file of golden values with the library's own reader, and knows which are left over.
#pragma once

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gradus/training/safetensors.hpp"

namespace golden {

inline gradus::SafetensorsFile read_file(const std::string& name) {
    return gradus::read_safetensors(GRADUS_SOURCE_DIR "/tests/golden/" + name + ".safetensors").value();
}

class GoldenFile {
public:
    explicit GoldenFile(const std::string& name) : file_(read_file(name)) {}

    gradus::Tensor<double> tensor(const std::string& name) {
        used_.insert(name);
        return file_.tensor<double>(name).value();
    }
    std::vector<double> values(const std::string& name) { return tensor(name).to_vector(); }
    bool has(const std::string& name) const { return file_.find(name) != nullptr; }

    // To be called last: a value that no test has asked for is a mistake in one of the two lists.
    void check_all_used() const {
        for (const gradus::FileTensor& tensor : file_.tensors)
            CHECK_MESSAGE(used_.count(tensor.name) == 1, tensor.name << " is in the file and in no test");
    }

private:
    gradus::SafetensorsFile file_;
    std::set<std::string> used_;
};

}  // namespace golden
