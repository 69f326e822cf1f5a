// examples/train.cpp on the device cuda, with -DGRADUS_EMULATE_CUDA as the README compiles it; and what the program
// without it says to --device cuda. CMake passes the paths of both.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <regex>

#include "data/temporary_directory.hpp"
#include "examples/program.hpp"
#include "gradus/training/checkpoint.hpp"
#include "gradus/training/progress.hpp"

using namespace gradus;

namespace {

Ended run(const char* program, const TemporaryDirectory& place, const std::vector<std::string>& arguments) {
    return Program(program, arguments, place.file("log")).wait();
}

// Of the only epoch.
EpochMetrics metrics_of(const std::string& folder) {
    const auto checkpoint = read_checkpoint<float>(folder + "/checkpoint.safetensors");
    REQUIRE_MESSAGE(checkpoint.ok(), folder);
    REQUIRE(checkpoint.value().history.size() == 1);
    return checkpoint.value().history[0];
}

}  // namespace

TEST_CASE("train --device cuda in the emulator learns the digits and leaves its three files") {
    const TemporaryDirectory place;
    const std::string folder = place.file("run");
    const Ended ended =
        run(GRADUS_EMULATED_TRAIN_PROGRAM, place, {"--device", "cuda", "--epochs", "1", "--out", folder});
    INFO(ended.output);
    REQUIRE(ended.exit_code == 0);
    std::smatch accuracy;
    REQUIRE(std::regex_match(ended.last_line, accuracy, std::regex("test accuracy ([0-9]+\\.[0-9][0-9])%")));
    CHECK(std::stod(accuracy[1]) > 60);  // seeds 1 to 3: 76% to 83%, as on the CPU; chance is 10%
    CHECK(mentions(ended.output, {"cuda", "1,438 training and 359 test images", "epoch 1/1"}));
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        files.push_back(entry.path().filename().string());
    std::sort(files.begin(), files.end());
    CHECK(files == std::vector<std::string>{"checkpoint.safetensors", "metrics.csv", "report.html"});
    CHECK(percent(metrics_of(folder).test_accuracy) == accuracy.str(1) + "%");
    CHECK(mentions(contents(folder + "/report.html"), {"<svg", "</html>", "cuda"}));
}

TEST_CASE("six steps on cuda, in the emulator, and on the cpu train alike") {
    const TemporaryDirectory place;
    constexpr std::size_t record_bytes = 41;  // data/digits.hpp
    place.write("digits/digits.bin",
                contents(GRADUS_SOURCE_DIR "/examples/data/digits.bin").substr(0, 250 * record_bytes));
    const auto loss_on = [&](const std::string& device) {
        const Ended ended = run(GRADUS_EMULATED_TRAIN_PROGRAM, place,
                                {"--data", place.file("digits"), "--model", "resnet8", "--epochs", "1", "--batch", "32",
                                 "--lr", "0.05", "--device", device, "--out", place.file(device)});
        INFO(ended.output);
        REQUIRE(ended.exit_code == 0);
        return metrics_of(place.file(device)).train_loss;
    };
    const double card = loss_on("cuda"), cpu = loss_on("cpu");
    MESSAGE("losses ", card, " and ", cpu);
    CHECK(cpu > 1);                            // of 200 images: it has learnt next to nothing yet
    CHECK(std::abs(card - cpu) < 1e-3 * cpu);  // in float; the sums are rounded in another order
}

TEST_CASE("train, compiled without CUDA, refuses --device cuda: it names what there is and makes no folder") {
    const TemporaryDirectory place;
    const Ended ended = run(GRADUS_TRAIN_PROGRAM, place, {"--device", "cuda", "--out", place.file("run")});
    INFO(ended.output);
    CHECK(ended.exit_code == 2);
    CHECK(mentions(ended.output, {"--device 'cuda' is not one of auto cpu reference"}));
    CHECK(!std::filesystem::exists(place.file("run")));
}
