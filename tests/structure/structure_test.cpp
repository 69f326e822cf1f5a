// The rules of the repository's layout, checked on its files: which folder may include which, what every header opens
// with, that the table of contents is complete. A rule is a function of file texts, so that it can be tested too.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gradus/core/abi.hpp"

namespace {

namespace fs = std::filesystem;
using Graph = std::map<std::string, std::set<std::string>>;

const fs::path root = GRADUS_SOURCE_DIR;

struct SourceFile {
    std::string path;  // relative to the folder that was searched, with '/'
    std::vector<std::string> lines;
};

std::vector<std::string> lines_of(const fs::path& path) {
    std::ifstream file(path);
    REQUIRE_MESSAGE(file.good(), "cannot read " << path.string());
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

std::vector<SourceFile> sources_under(const fs::path& folder) {
    const std::set<std::string> extensions = {".hpp", ".cuh", ".cpp", ".cu"};
    std::vector<SourceFile> files;
    if (!fs::exists(folder)) return files;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && extensions.count(entry.path().extension().string()) > 0)
            files.push_back({entry.path().lexically_relative(folder).generic_string(), lines_of(entry.path())});
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return files;
}

// The headers, by their path below include/gradus: "core/shape.hpp".
const std::vector<SourceFile>& headers() {
    static const std::vector<SourceFile> files = sources_under(root / "include/gradus");
    return files;
}

std::string folder_of(const std::string& path) { return fs::path(path).parent_path().generic_string(); }
std::string name_of(const std::string& path) { return fs::path(path).filename().string(); }
bool begins_with(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }

// The line without its comment. Headers have no "//" inside a string.
std::string_view code_of(std::string_view line) { return line.substr(0, line.find("//")); }

// "core/shape.hpp" for the line  #include "gradus/core/shape.hpp"  and "" for any other.
std::string included_by(std::string_view line) {
    constexpr std::string_view start = "#include \"gradus/";
    if (!begins_with(line, start)) return "";
    line.remove_prefix(start.size());
    return std::string(line.substr(0, line.find('"')));
}

Graph include_graph() {
    Graph graph;
    for (const SourceFile& header : headers()) {
        graph[header.path];
        for (const std::string& line : header.lines)
            if (const std::string target = included_by(line); !target.empty()) graph[header.path].insert(target);
    }
    return graph;
}

// Folders and the folders they include, without arrows to themselves.
Graph folder_graph(const Graph& files) {
    Graph folders;
    for (const auto& [file, targets] : files)
        for (const std::string& target : targets)
            if (folder_of(file) != folder_of(target)) folders[folder_of(file)].insert(folder_of(target));
    return folders;
}

// What can be reached from a node, without the node itself unless it lies on a circle.
std::set<std::string> reachable(const Graph& graph, const std::string& from) {
    std::set<std::string> found;
    std::vector<std::string> pending = {from};
    while (!pending.empty()) {
        const auto node = graph.find(pending.back());
        pending.pop_back();
        if (node == graph.end()) continue;
        for (const std::string& next : node->second)
            if (found.insert(next).second) pending.push_back(next);
    }
    return found;
}

std::string circles(const Graph& graph) {
    std::string found;
    for (const auto& [node, unused] : graph)
        if (reachable(graph, node).count(node) > 0) found += node + " ";
    return found;
}

// core <- machine <- autograd <- operations <- nn <- blocks <- models <- the rest. Every folder without a name in this
// list is a family of operations.
int level(const std::string& folder) {
    const std::map<std::string, int> levels = {{"core", 0},     {"machine", 1}, {"autograd", 2},
                                               {"nn", 4},       {"blocks", 5},  {"models", 6},
                                               {"training", 7}, {"data", 7},    {"", 8 /* the tables of contents */}};
    const auto found = levels.find(folder.substr(0, folder.find('/')));
    return found == levels.end() ? 3 : found->second;
}

std::string backward_arrows(const Graph& files) {
    std::string found;
    for (const auto& [file, targets] : files)
        for (const std::string& target : targets)
            if (level(folder_of(target)) > level(folder_of(file))) found += "\n  " + file + " includes " + target;
    return found;
}

std::size_t columns(std::string_view line) {  // UTF-8: a continuation byte is not a column
    return static_cast<std::size_t>(
        std::count_if(line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

// Adds the identifiers in a text to a set.
void add_words(std::string_view text, std::set<std::string>& words) {
    std::string word;
    for (const char c : text) {
        if (std::isalnum(static_cast<unsigned char>(c)) || c == '_') {
            word += c;
        } else {
            words.insert(word);
            word.clear();
        }
    }
    words.insert(word);
}

bool is_cuda_only(const std::string& path) {
    return begins_with(path, "machine/cuda/") || begins_with(path, "machine/emulator/") || path == "cuda.hpp" ||
           fs::path(path).extension() == ".cuh";
}

// Its library's own files: kernels need race_checker.hpp alone.
bool is_part_of_the_race_checker(const std::string& path) {
    static const std::set<std::string> names = {"racecheck.cpp",     "race_shadow.hpp",    "race_reports.hpp",
                                                "access_counts.hpp", "program_places.hpp", "kernel_memory.hpp"};
    return names.count(name_of(path)) > 0;
}

}  // namespace

TEST_CASE("the folder graph has no arrow backwards and no circle") {
    const Graph files = include_graph();
    REQUIRE(files.size() > 10);
    CHECK(backward_arrows(files) == "");
    CHECK(circles(folder_graph(files)) == "");
}

TEST_CASE("the graph rules see an arrow backwards and a circle") {
    const Graph backwards = {{"core/shape.hpp", {"nn/linear.hpp"}}};
    CHECK(backward_arrows(backwards) == "\n  core/shape.hpp includes nn/linear.hpp");
    const Graph around = {{"linear/a.hpp", {"pooling/b.hpp"}}, {"pooling/c.hpp", {"linear/d.hpp"}}};
    CHECK(backward_arrows(around) == "");
    CHECK(circles(around) == "");  // no circle of files, but one of folders
    CHECK(circles(folder_graph(around)) == "linear pooling ");
    CHECK(level("convolution") == level("softmax"));
    CHECK(level("machine/cpu") < level("autograd"));
}

TEST_CASE("headers include existing headers of the library by their full path, and the standard library") {
    const Graph files = include_graph();
    for (const SourceFile& header : headers())
        for (const std::string& line : header.lines) {
            if (!begins_with(line, "#include \"")) continue;
            INFO(header.path << ": " << line);
            const bool exists = files.count(included_by(line)) > 0;
            CHECK(exists);
        }
}

TEST_CASE("gradus.hpp, the table of contents, reaches every header") {
    const Graph files = include_graph();
    REQUIRE(files.count("gradus.hpp") == 1);
    const std::set<std::string> contents = reachable(files, "gradus.hpp");
    for (const auto& entry : files) {
        const std::string& file = entry.first;
        if (file != "gradus.hpp" && !is_cuda_only(file))
            CHECK_MESSAGE(contents.count(file) == 1, file << " is missing");
    }
}

TEST_CASE("cuda.hpp, the second table of contents, reaches every header that only CUDA has") {
    const Graph files = include_graph();
    const std::set<std::string> contents = reachable(files, "cuda.hpp");
    for (const auto& entry : files) {
        const std::string& file = entry.first;
        if (file != "cuda.hpp" && is_cuda_only(file) && !is_part_of_the_race_checker(file))
            CHECK_MESSAGE(contents.count(file) == 1, file << " is missing");
    }
}

TEST_CASE("names of headers are unique in the tree") {
    std::map<std::string, std::string> first;
    for (const SourceFile& header : headers()) {
        const auto inserted = first.insert({name_of(header.path), header.path});
        CHECK_MESSAGE(inserted.second, header.path << " and " << inserted.first->second);
    }
}

TEST_CASE("a header opens with its own path, has #pragma once and is at most 350 lines long") {
    for (const SourceFile& header : headers()) {
        INFO(header.path);
        REQUIRE(!header.lines.empty());
        const std::string opening = "// " + header.path;
        CHECK(begins_with(header.lines[0] + " ", opening + " "));
        const bool is_header = fs::path(header.path).extension() != ".cpp";
        CHECK(std::count(header.lines.begin(), header.lines.end(), "#pragma once") == (is_header ? 1 : 0));
        CHECK(header.lines.size() <= 350);
    }
}

TEST_CASE("everything lives in the inline namespace that carries the compiler's mode") {
    for (const SourceFile& header : headers()) {
        if (header.path == "core/abi.hpp" || folder_of(header.path).empty() || is_cuda_only(header.path)) continue;
        INFO(header.path);
        std::ptrdiff_t opened = 0;
        for (const std::string& line : header.lines) {
            if (!begins_with(line, "namespace ")) continue;
            INFO(line);
            const bool is_versioned = begins_with(line, "namespace gradus::inline GRADUS_ABI {");
            CHECK(is_versioned);
            ++opened;
        }
        CHECK(opened >= 1);
    }
}

TEST_CASE("only core/check.hpp throws, and macros are named GRADUS_") {
    for (const SourceFile& header : headers())
        for (const std::string& line : header.lines) {
            const std::string_view code = code_of(line);
            INFO(header.path << ": " << line);
            const bool throws = code.find("throw ") != code.npos;
            if (header.path != "core/check.hpp" && !begins_with(header.path, "machine/emulator/")) CHECK(!throws);
            const bool is_foreign_macro = begins_with(code, "#define ") && !begins_with(code, "#define GRADUS_");
            // __SANITIZE_ADDRESS__ is g++'s own name, given to clang too; the emulator speaks CUDA's.
            const bool is_known = code.find("__SANITIZE_ADDRESS__") != code.npos || is_cuda_only(header.path);
            CHECK((is_known || !is_foreign_macro));
        }
}

// The comment that a header opens with, as one line.
std::string opening_of(const SourceFile& file) {
    std::string text;
    for (const std::string& line : file.lines) {
        if (!begins_with(line, "//")) break;
        std::istringstream words(line.substr(2));
        for (std::string word; words >> word;) text += word + " ";
    }
    return text;
}

TEST_CASE("a page with kernels says what they move and compute: how many FLOP for a byte") {
    int pages = 0;
    for (const SourceFile& header : headers()) {
        const auto is_kernel = [](const std::string& line) { return begins_with(line, "__global__ "); };
        if (folder_of(header.path) == "machine/emulator" || header.path.find(".cuh") == std::string::npos) continue;
        if (std::none_of(header.lines.begin(), header.lines.end(), is_kernel)) continue;
        if (header.path == "convolution/conv2d_gemm_loader_cuda.cuh") continue;  // it only brings data to a kernel
        ++pages;
        INFO(header.path);
        CHECK(opening_of(header).find("FLOP a byte") != std::string::npos);
    }
    CHECK(pages >= 20);
    CHECK(opening_of({"a.cuh", {"// of 3 FLOP a", "//     byte", "#pragma once", "// FLOP"}}) == "of 3 FLOP a byte ");
}

TEST_CASE("no line is longer than 120 columns, and none is left to be written") {
    const std::string later[] = {std::string("TO") + "DO", std::string("FIX") + "ME"};  // not to find this line
    for (const std::string folder : {"include", "examples", "tests", "benchmarks"})
        for (const SourceFile& file : sources_under(root / folder))
            for (std::size_t i = 0; i < file.lines.size(); ++i) {
                const std::string& line = file.lines[i];
                const std::string place = folder + "/" + file.path + ":" + std::to_string(i + 1);
                if (columns(line) > 120) FAIL_CHECK(place << " has " << columns(line) << " columns");
                for (const std::string& mark : later)
                    if (line.find(mark) != line.npos) FAIL_CHECK(place << ": " << line);
            }
}

TEST_CASE("every header is named by a test") {
    std::set<std::string> words;  // of all tests: "conv2d_test" counts as "conv2d"
    for (const SourceFile& file : sources_under(root / "tests")) {
        if (folder_of(file.path) == "structure") continue;  // the names in this file are examples
        add_words(file.path, words);
        for (const std::string& line : file.lines) add_words(line, words);
    }
    for (const SourceFile& header : headers()) {
        const std::string stem = fs::path(header.path).stem().string();
        const bool is_named = words.count(stem) > 0 || words.count(stem + "_test") > 0;
        CHECK_MESSAGE(is_named, header.path);
    }
}

TEST_CASE("the version is the same in CMakeLists.txt and in core/abi.hpp") {
    std::string version;
    for (const std::string& line : lines_of(root / "CMakeLists.txt"))
        if (begins_with(line, "project(gradus VERSION ")) std::istringstream(line.substr(23)) >> version;
    CHECK(version == GRADUS_VERSION);
}
