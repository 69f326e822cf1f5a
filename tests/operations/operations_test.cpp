// The table of operations is complete: every public function of the operation folders has a row.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "operations/binary_operations.hpp"
#include "operations/convolution_operations.hpp"
#include "operations/linear_operations.hpp"
#include "operations/normalization_operations.hpp"
#include "operations/pooling_operations.hpp"
#include "operations/reduction_operations.hpp"
#include "operations/shaping_operations.hpp"
#include "operations/softmax_operations.hpp"
#include "operations/unary_operations.hpp"

namespace {

namespace fs = std::filesystem;

// "conv2d" for a row called "conv2d stride 2".
template <class Table>
void collect(std::set<std::string>& names) {
    Table::rows([&](const operations::Row& row, const auto&) {
        const std::string name = row.name;
        names.insert(name.substr(0, name.find(' ')));
    });
}

// Functions that return a Variable, at the beginning of a line.
std::set<std::string> public_operations(const std::string& source) {
    static const std::regex declaration(R"((?:^|\n)Variable<[^\n]*?> ([a-z_0-9]+)\()");
    std::set<std::string> names;
    for (std::sregex_iterator found(source.begin(), source.end(), declaration), end; found != end; ++found)
        names.insert((*found)[1]);
    return names;
}

bool is_operation_folder(const fs::path& folder) {
    static const std::set<std::string> others = {"core",   "machine", "autograd", "nn",
                                                 "blocks", "models",  "data",     "training"};
    return others.count(folder.filename().string()) == 0;
}

}  // namespace

TEST_CASE("the scan finds functions that return a Variable") {
    CHECK(public_operations("template <class T>\nVariable<T, D> relu(const Variable<T, D>& x) {\n"
                            "    Variable<T, D> local(x);\nVariable<Sum<T>, D> cross_entropy(\n") ==
          std::set<std::string>{"relu", "cross_entropy"});
}

TEST_CASE("every public operation has a row") {
    std::set<std::string> rows;
    collect<operations::BinaryOperations>(rows);
    collect<operations::ConvolutionOperations>(rows);
    collect<operations::LinearOperations>(rows);
    collect<operations::NormalizationOperations>(rows);
    collect<operations::PoolingOperations>(rows);
    collect<operations::ReductionOperations>(rows);
    collect<operations::ShapingOperations>(rows);
    collect<operations::SoftmaxOperations>(rows);
    collect<operations::UnaryOperations>(rows);

    int found = 0;
    for (const fs::directory_entry& folder : fs::directory_iterator(fs::path(GRADUS_SOURCE_DIR) / "include/gradus")) {
        if (!folder.is_directory() || !is_operation_folder(folder.path())) continue;
        for (const fs::directory_entry& header : fs::directory_iterator(folder.path())) {
            std::ifstream file(header.path());
            const std::string source((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
            for (const std::string& name : public_operations(source)) {
                ++found;
                CHECK_MESSAGE(rows.count(name) == 1, header.path().filename().string()
                                                         << ": no row for " << name << " in tests/operations");
            }
        }
    }
    CHECK(found > 10);
}
