// The debugger session of examples/04_cuda_on_a_cpu.cpp, as it stands there: it stops in the right thread of the right
// kernel, and the variables have the values that this thread computes. CMake passes the path of the lesson, compiled
// as it says, with -O0 -g.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <regex>
#include <sstream>

#include "data/temporary_directory.hpp"
#include "examples/program.hpp"
#include "gradus/core/random.hpp"
#include "gradus/core/tensor.hpp"

using namespace gradus;

namespace {

const std::string lesson = GRADUS_SOURCE_DIR "/examples/04_cuda_on_a_cpu.cpp";

// What stands behind "(gdb)" in the lesson, without the remarks; NN is the line that it speaks of.
std::vector<std::string> commands_of_lesson() {
    std::vector<std::string> commands;
    std::istringstream lines(contents(lesson));
    std::string line, loop;
    for (int number = 1; std::getline(lines, line); ++number) {
        std::smatch command;
        if (std::regex_match(line, command, std::regex("// +\\(gdb\\) (.*?)(   .*)?"))) commands.push_back(command[1]);
        if (std::regex_match(line, std::regex(" *for \\(int l.*"))) loop = std::to_string(number);
    }
    for (std::string& command : commands) command = std::regex_replace(command, std::regex("\\bNN\\b"), loop);
    return commands;
}

// The numbers of "$2 = {0.5, -0.25}" or "$3 = 1.5", where `name` is "$2".
std::vector<float> printed(const std::string& output, const std::string& name) {
    const std::size_t begin = output.find(name + " = ");
    if (begin == output.npos) return {};
    const std::string line = output.substr(begin + name.size(), output.find('\n', begin) - begin - name.size());
    std::vector<float> numbers;
    const std::regex number("-?[0-9][0-9.e+-]*");
    for (std::sregex_iterator i(line.begin(), line.end(), number); i != std::sregex_iterator(); ++i)
        numbers.push_back(std::stof(i->str()));
    return numbers;
}

}  // namespace

TEST_CASE("gdb: the lesson's commands stop in thread (3, 2) of a block (1, y), with its row and its sum") {
    const TemporaryDirectory place;
    if (Program("/usr/bin/env", {"gdb", "--version"}, place.file("version")).wait().exit_code != 0) {
        MESSAGE("skipped: gdb is not installed");
        return;
    }
    for (const char* name : {"GRADUS_EMULATOR_ORDER", "GRADUS_EMULATOR_BLOCKS"}) unsetenv(name);
    const std::vector<std::string> commands = commands_of_lesson();
    REQUIRE(commands.size() == 6);
    CHECK(commands.front().starts_with("break 04_cuda_on_a_cpu.cpp:"));
    std::vector<std::string> arguments = {"gdb", "-q", "-nx", "-batch"};
    for (const std::string& command : commands) arguments.insert(arguments.end(), {"-ex", command});
    arguments.push_back(GRADUS_LESSON_PROGRAM);
    const std::string output = Program("/usr/bin/env", arguments, place.file("log")).wait().output;
    INFO(output);

    Generator generator{1, 0, 0};  // the lesson's matrices
    const Tensor<float> a = Tensor<float>::uniform({40, 40}, -1, 1, generator);
    const Tensor<float> b = Tensor<float>::uniform({40, 40}, -1, 1, generator);
    std::vector<float> row;
    double sum = 0;
    for (Index l = 0; l < 16; ++l) {
        row.push_back(a.read<2>()(2, l));
        sum += double(row.back()) * double(b.read<2>()(l, 16 + 3));
    }
    CHECK(output.find("product_kernel<") != output.npos);
    CHECK(output.find("$1 = {x = 3, y = 2, z = 0}") != output.npos);
    CHECK(printed(output, "$2") == row);  // gdb prints as many digits as tell two floats apart
    REQUIRE(printed(output, "$3").size() == 1);
    CHECK(std::abs(printed(output, "$3")[0] - sum) <= 1.7e-5);  // 16 products, 16 sums of at most 16, to 2^-24
    CHECK(output.find("if (planted != Fault::race) __syncthreads();") != output.npos);  // the line after `next`
}
