// examples/train.cpp, as its user sees it. CMake passes the path of the program.
#include "examples/program.hpp"

#include <chrono>
#include <regex>
#include <thread>

#include "data/temporary_directory.hpp"
#include "gradus/training/checkpoint.hpp"

using namespace gradus;

namespace {

Ended train(const TemporaryDirectory& place, const std::vector<std::string>& arguments) {
    return Program(GRADUS_TRAIN_PROGRAM, arguments, place.file("log")).wait();
}

// Trains into the folder `name`, which must work, and returns the folder.
std::string trained(const TemporaryDirectory& place, const std::string& name, std::vector<std::string> arguments) {
    const std::string folder = place.file(name);
    arguments.insert(arguments.end(), {"--out", folder});
    const Ended ended = train(place, arguments);
    INFO(ended.output);
    REQUIRE(ended.exit_code == 0);
    return folder;
}

std::string checkpoint_of(const std::string& folder) { return folder + "/checkpoint.safetensors"; }

// Every tensor bit for bit, but the seconds in training.history, and the table of metrics.
void check_same(const std::string& folder_a, const std::string& folder_b) {
    const SafetensorsFile a = read_safetensors(checkpoint_of(folder_a)).value();
    const SafetensorsFile b = read_safetensors(checkpoint_of(folder_b)).value();
    REQUIRE(a.tensors.size() == b.tensors.size());
    CHECK(a.tensors.size() > 20);
    for (std::size_t i = 0; i < a.tensors.size(); ++i) {
        INFO(a.tensors[i].name);
        CHECK(a.tensors[i].name == b.tensors[i].name);
        CHECK(a.tensors[i].shape == b.tensors[i].shape);
        if (a.tensors[i].name == "training.history") continue;
        CHECK(std::ranges::equal(a.tensors[i].bytes, b.tensors[i].bytes));
    }
    CHECK(contents(folder_a + "/metrics.csv") == contents(folder_b + "/metrics.csv"));
    std::vector<EpochMetrics> history_a = read_checkpoint<float>(checkpoint_of(folder_a)).value().history;
    std::vector<EpochMetrics> history_b = read_checkpoint<float>(checkpoint_of(folder_b)).value().history;
    for (EpochMetrics& m : history_a) m.seconds = 0;
    for (EpochMetrics& m : history_b) m.seconds = 0;
    CHECK(metrics_csv(history_a) == metrics_csv(history_b));
    CHECK(std::ranges::equal(history_tensor(history_a).to_vector(), history_tensor(history_b).to_vector()));
}

// The first training loss, from metrics.csv: epoch,lr,train_loss,...
double first_loss(const std::string& folder) {
    std::istringstream lines(contents(folder + "/metrics.csv"));
    std::string heading, epoch, lr, loss;
    std::getline(lines, heading);
    CHECK(heading.starts_with("epoch,lr,train_loss,"));
    std::getline(lines, epoch, ',');
    std::getline(lines, lr, ',');
    std::getline(lines, loss, ',');
    return std::stod(loss);
}

}  // namespace

TEST_CASE("train learns the digits, says how well at the end, and leaves three files") {
    const TemporaryDirectory place;
    const Ended ended = train(place, {"--epochs", "3", "--out", place.file("deep/run")});
    INFO(ended.output);
    REQUIRE(ended.exit_code == 0);
    std::smatch accuracy;
    REQUIRE(std::regex_match(ended.last_line, accuracy, std::regex("test accuracy ([0-9]+\\.[0-9][0-9])%")));
    CHECK(std::stod(accuracy[1]) > 90);
    CHECK(mentions(ended.output, {"1,438 training and 359 test images", "epoch 3/3", "report.html"}));
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(place.file("deep/run")))
        files.push_back(entry.path().filename().string());
    std::sort(files.begin(), files.end());
    CHECK(files == std::vector<std::string>{"checkpoint.safetensors", "metrics.csv", "report.html"});

    SUBCASE("the report loads nothing from elsewhere") {
        const std::string report = contents(place.file("deep/run/report.html"));
        CHECK(mentions(report, {"<html", "</html>", "<svg"}));
        const std::regex load(
            "(src|href|srcset|action|data)\\s*=\\s*[\"']?\\s*((?!data:|#)[^\"' >]+)|@import|"
            "url\\(\\s*[\"']?(?!data:|#)|fetch\\(|XMLHttpRequest");
        std::smatch found;
        const bool loads = std::regex_search(report, found, load);
        CHECK_MESSAGE(!loads, found.str());
    }
    SUBCASE("without --resume a note says that the run will be replaced") {
        CHECK(ended.output.find("will replace") == std::string::npos);
        const Ended again = train(place, {"--epochs", "1", "--out", place.file("deep/run")});
        CHECK(mentions(again.output, {"will replace", "checkpoint.safetensors", "--resume"}));
    }
    SUBCASE("--resume of a finished run says the same again") {
        const Ended again = train(place, {"--epochs", "3", "--resume", "--out", place.file("deep/run")});
        CHECK(again.exit_code == 0);
        CHECK(again.last_line == ended.last_line);
    }
    SUBCASE("--resume with another setting is an error that names it") {
        const Ended other =
            train(place, {"--epochs", "3", "--lr", "0.01", "--resume", "--out", place.file("deep/run")});
        CHECK(other.exit_code == 1);
        CHECK(mentions(other.output, {"checkpoint.safetensors", "lr 0.05, not 0.01"}));
    }
}

TEST_CASE("train says what is allowed") {
    const TemporaryDirectory place;
    struct Mistake {
        std::vector<std::string> arguments;
        std::vector<std::string> answer;
    };
    const std::vector<Mistake> mistakes = {
        {{"--epoch", "3"}, {"'--epoch'", "did you mean --epochs?", "--label-smoothing"}},
        {{"--epochs", "many"}, {"--epochs 'many'", "a whole number from 1 to 100000"}},
        {{"--epochs", "0"}, {"--epochs '0'", "from 1"}},
        {{"--epochs"}, {"--epochs needs a value"}},
        {{"--batch=1"}, {"--batch '1'", "from 2 to 65536"}},
        {{"--model", "resnet9"}, {"resnet9", "resnet8", "resnet110"}},
        {{"--device", "gpu"}, {"gpu", "cpu", "reference"}},
        {{"--lr", "nan"}, {"--lr 'nan'", "0", "1000"}},
        {{"--schedule", "linear"}, {"constant", "step", "multistep", "cosine"}},
        {{"--resume=yes"}, {"--resume takes no value"}},
        {{"--precision", "fp8"}, {"fp8", "fp32", "fp16", "bf16"}},
        {{"--loss-scale", "0"}, {"--loss-scale '0'", "1"}},
        {{"digits"}, {"'digits'"}},
    };
    for (const Mistake& mistake : mistakes) {
        std::vector<std::string> arguments = mistake.arguments;
        arguments.insert(arguments.begin(), {"--out", place.file("run")});
        const Ended ended = train(place, arguments);
        INFO(ended.output);
        CHECK(ended.exit_code == 2);
        CHECK(mentions(ended.output, mistake.answer));
        CHECK(!std::filesystem::exists(place.file("run")));
    }
    const Ended help = train(place, {"--help"});
    CHECK(help.exit_code == 0);
    CHECK(mentions(help.output, {"--data DIR", "--epochs N", "(default 20)", "--resume",
                                 "resnet20, 30 epochs, batch 128, lr 0.1."}));
}

TEST_CASE("train fails before it works where it has no data, nothing to resume or no place for the results") {
    const TemporaryDirectory place;
    place.write("file", std::string("in the way"));
    std::filesystem::create_directory(place.file("no test images"));
    for (int i = 1; i <= 5; ++i)
        place.write(text("no test images/data_batch_", i, ".bin"), std::string(i <= 2 ? 3073 : 0, '\0'));
    place.write("no test images/test_batch.bin", std::string());
    struct Mistake {
        std::vector<std::string> arguments;
        std::vector<std::string> answer;
    };
    const std::vector<Mistake> mistakes = {
        {{"--resume", "--out", place.file("new")},
         {"cannot resume", "no such file", place.file("new/checkpoint.safetensors")}},
        {{"--out", place.file("file")}, {place.file("file")}},
        {{"--out", place.file("file/run")}, {place.file("file")}},
        {{"--out", "/proc/gradus"}, {"/proc/gradus"}},
        {{"--out", place.file("new"), "--loss-scale", "1024"}, {"--loss-scale", "--precision fp16"}},
        {{"--out", place.file("new"), "--precision", "bf16", "--fixed-scale"}, {"--fixed-scale", "--precision fp16"}},
        {{"--out", place.file("new"), "--data", place.file("nowhere")}, {place.file("nowhere"), "no such directory"}},
        {{"--out", place.file("new"), "--data", place.file("new")}, {"there is no data set here"}},
        {{"--out", place.file("new"), "--data", place.file("no test images")},
         {"needs", "a test image", "has 2 and 0"}},
    };
    for (const Mistake& mistake : mistakes) {
        const Ended ended = train(place, mistake.arguments);
        INFO(ended.output);
        CHECK(ended.exit_code == 1);
        CHECK(mentions(ended.output, mistake.answer));
        CHECK(ended.output.find("epoch") == std::string::npos);
        CHECK(ended.output.find("parameters") == std::string::npos);  // the table of layers comes before all work
    }
}

TEST_CASE("train stops where the loss is not finite") {
    const TemporaryDirectory place;
    const Ended ended =
        train(place, {"--epochs", "10", "--lr", "1000", "--schedule", "constant", "--out", place.file("run")});
    INFO(ended.output);
    CHECK(ended.exit_code == 1);
    CHECK(mentions(ended.output, {"\ntrain: the loss is not finite in step ", "; try a lower --lr"}));
}

TEST_CASE("killed at any moment and resumed, train ends with the same bits") {
    const TemporaryDirectory place;
    const std::vector<std::string> recipe = {"--epochs", "40"};
    const std::string whole = trained(place, "whole", recipe);
    const std::string folder = place.file("killed");
    const std::string half_written = checkpoint_of(folder) + ".tmp";
    Generator random{1};
    int in_writing = 0;
    for (int start = 0; true; ++start) {
        std::vector<std::string> arguments = recipe;
        arguments.insert(arguments.end(), {"--out", folder, "--threads", std::to_string(1 + start % 3)});
        if (std::filesystem::exists(checkpoint_of(folder))) arguments.push_back("--resume");
        // Every second time it is killed in the moment in which it writes a checkpoint. What that leaves behind is
        // there at the next start.
        const bool while_writing = start % 2 == 1;
        if (while_writing) std::filesystem::remove(half_written);
        Program program(GRADUS_TRAIN_PROGRAM, arguments, place.file("log"));
        if (start < 14) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20 + random.below(250)));
            while (while_writing && !program.has_ended() && !std::filesystem::exists(half_written))
                std::this_thread::yield();
        }
        if (start < 14 && !program.has_ended()) {
            program.kill_now();
            in_writing += while_writing && std::filesystem::exists(half_written);
            if (!std::filesystem::exists(checkpoint_of(folder))) continue;
            const Result<Checkpoint<float>> left = read_checkpoint<float>(checkpoint_of(folder));
            REQUIRE_MESSAGE(left.ok(), left.error());
            continue;
        }
        const Ended ended = program.wait();
        INFO(ended.output);
        REQUIRE(ended.exit_code == 0);
        break;
    }
    MESSAGE("killed with a half-written checkpoint: ", in_writing, " times of 7");
    CHECK(!std::filesystem::exists(half_written));
    check_same(whole, folder);
}

TEST_CASE("the number of threads does not change a bit") {
    const TemporaryDirectory place;
    const std::string one = trained(place, "1", {"--epochs", "2", "--threads", "1"});
    for (const std::string threads : {"2", "3", "7"})
        check_same(one, trained(place, threads, {"--epochs", "2", "--threads", threads}));
    // And another seed does: the comparison is not blind.
    const std::string other = trained(place, "other", {"--epochs", "2", "--seed", "2"});
    CHECK(contents(one + "/metrics.csv") != contents(other + "/metrics.csv"));
}

TEST_CASE("a damaged checkpoint is refused, with its name and the place") {
    const TemporaryDirectory place;
    const std::string path = checkpoint_of(trained(place, "run", {"--epochs", "2"}));
    const std::string intact = contents(path);
    // `at`: the first byte that is missing or wrong. It lies in the range that the message names.
    const auto refused = [&](const std::string& damaged, std::size_t at) {
        place.write("run/checkpoint.safetensors", damaged);
        const Ended ended = train(place, {"--epochs", "2", "--resume", "--out", place.file("run")});
        INFO(ended.output);
        CHECK(ended.exit_code == 1);
        std::smatch place_named;
        REQUIRE(std::regex_search(ended.output, place_named,
                                  std::regex("checkpoint\\.safetensors, bytes? ([0-9]+)(?: to ([0-9]+))?")));
        if (place_named[2].matched) {
            CHECK(at >= std::stoul(place_named[1]));
            CHECK(at <= std::stoul(place_named[2]));
        }
        CHECK(contents(path) == damaged);  // nothing was written over it
    };
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{5}, std::size_t{1000}, intact.size() / 2, intact.size() - 1})
        refused(intact.substr(0, size), size);
    Generator random{2};
    for (int i = 0; i < 12; ++i) {
        std::string damaged = intact;
        const std::size_t at = random.below(intact.size());
        damaged[at] = static_cast<char>(damaged[at] ^ 1 << random.below(8));
        refused(damaged, at);
    }
    for (const std::size_t at : {std::size_t{0}, std::size_t{7}, intact.size() - 1}) {
        std::string damaged = intact;
        damaged[at] = static_cast<char>(damaged[at] ^ 1);
        refused(damaged, at);
    }
    place.write("run/checkpoint.safetensors", intact);
    CHECK(train(place, {"--epochs", "2", "--resume", "--out", place.file("run")}).exit_code == 0);
}

TEST_CASE("the reference kernels and the fast ones train alike") {
    const TemporaryDirectory place;
    constexpr std::size_t record_bytes = 41;  // data/digits.hpp
    const std::string digits = contents(GRADUS_SOURCE_DIR "/examples/data/digits.bin");
    place.write("digits/digits.bin", digits.substr(0, 250 * record_bytes));
    struct Precision {
        std::string name;
        double roundoff;  // of an activation
    };
    // Six steps, in which the sums, in float, are rounded in another order, and then now and then an activation.
    for (const Precision& precision : {Precision{"fp32", 0x1p-24}, {"fp16", 0x1p-11}, {"bf16", 0x1p-8}}) {
        std::vector<std::string> recipe = {"--data", place.file("digits"), "--model", "resnet8", "--epochs", "1"};
        recipe.insert(recipe.end(), {"--batch", "32", "--lr", "0.05", "--precision", precision.name, "--device"});
        recipe.push_back("cpu");
        const double fast = first_loss(trained(place, "cpu", recipe));
        recipe.back() = "reference";
        const double slow = first_loss(trained(place, "reference", recipe));
        MESSAGE(precision.name, ": losses ", fast, " and ", slow);
        CHECK(slow > 1);  // of 200 images: it has learnt next to nothing yet
        CHECK(std::abs(fast - slow) < std::max(1e-3, precision.roundoff) * slow);
    }
}

TEST_CASE("train learns the digits in 16 bits as well") {
    const TemporaryDirectory place;
    for (const std::string precision : {"fp16", "bf16"}) {
        const std::string folder = trained(place, precision, {"--precision", precision, "--epochs", "3"});
        const std::vector<EpochMetrics> history = read_checkpoint<float>(checkpoint_of(folder)).value().history;
        INFO(precision, ": test accuracy ", history.back().test_accuracy);
        REQUIRE(history.size() == 3);
        CHECK(history.back().test_accuracy > 0.9);
        CHECK(history.back().loss_scale == (precision == "fp16" ? 65536 : 1));
        CHECK(history.back().skipped_steps == 0);
        // It is another precision, not another name for the same one.
        CHECK(first_loss(folder) != first_loss(trained(place, "fp32", {"--epochs", "1"})));
        // Threads do not change a bit.
        check_same(folder, trained(place, "threads", {"--precision", precision, "--epochs", "3", "--threads", "3"}));
        // Only the same precision resumes.
        const Ended other = train(place, {"--epochs", "3", "--resume", "--out", folder});
        CHECK(other.exit_code == 1);
        CHECK(mentions(other.output, {"checkpoint.safetensors", "precision " + precision, "not fp32"}));
    }
}

TEST_CASE("in fp16 a scale that is too large finds its way down, and everything says so") {
    const TemporaryDirectory place;
    const std::vector<std::string> recipe = {"--precision", "fp16", "--epochs", "3", "--loss-scale", "1099511627776"};
    std::vector<std::string> arguments = recipe;
    const std::string folder = place.file("run");
    arguments.insert(arguments.end(), {"--out", folder});
    const Ended ended = train(place, arguments);
    INFO(ended.output);
    REQUIRE(ended.exit_code == 0);
    CHECK(mentions(ended.output, {"steps skipped: overflow, loss scale now "}));
    const Checkpoint<float> checkpoint = read_checkpoint<float>(checkpoint_of(folder)).value();
    Index skipped = 0;
    for (const EpochMetrics& m : checkpoint.history) {
        skipped += m.skipped_steps;
        CHECK(m.loss_scale == std::ldexp(1, static_cast<int>(40 - skipped)));  // each overflow halves it
    }
    CHECK(skipped > 5);
    CHECK(skipped == checkpoint.loss_scaler.skipped);
    CHECK(checkpoint.history.back().test_accuracy > 0.9);
    CHECK(mentions(contents(folder + "/metrics.csv"),
                   {"loss_scale,skipped_steps",
                    text(shortest(checkpoint.history[0].loss_scale), ",", checkpoint.history[0].skipped_steps, "\n")}));
    CHECK(mentions(contents(folder + "/report.html"), {"Loss scale", text(skipped, " skipped")}));

    // With a fixed scale nothing but the skipping remains: no step is made, and 40 in a row end the program.
    std::vector<std::string> fixed = {"--precision",  "fp16",          "--epochs",      "1",
                                      "--loss-scale", "1099511627776", "--fixed-scale", "--batch"};
    fixed.push_back("64");
    const EpochMetrics only =
        read_checkpoint<float>(checkpoint_of(trained(place, "fixed", fixed))).value().history.at(0);
    CHECK(only.loss_scale == 1099511627776.0);
    CHECK(only.skipped_steps == 22);  // 1438 images in batches of 64
    fixed.back() = "32";              // 44 batches
    fixed.insert(fixed.end(), {"--out", place.file("stopped")});
    const Ended stopped = train(place, fixed);
    CHECK(stopped.exit_code == 1);
    CHECK(mentions(stopped.output, {"loss_scaler: the gradients of 40 steps in a row are not finite"}));
}

TEST_CASE("killed and resumed in fp16, train ends with the same bits, the loss scale among them") {
    const TemporaryDirectory place;
    const std::vector<std::string> recipe = {"--precision", "fp16", "--epochs", "12", "--loss-scale", "1099511627776"};
    const std::string whole = trained(place, "whole", recipe), folder = place.file("killed");
    int kills = 0;
    for (int start = 0; start < 4; ++start) {
        std::vector<std::string> arguments = recipe;
        arguments.insert(arguments.end(), {"--out", folder});
        if (std::filesystem::exists(checkpoint_of(folder))) arguments.push_back("--resume");
        Program program(GRADUS_TRAIN_PROGRAM, arguments, place.file("log"));
        // Killed when it has finished one more epoch, of which the first have the overflows.
        const std::string before = start == 0 ? "" : contents(folder + "/metrics.csv");
        while (!program.has_ended() &&
               (!std::filesystem::exists(checkpoint_of(folder)) || contents(folder + "/metrics.csv") == before))
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        if (start < 3 && !program.has_ended()) {
            program.kill_now();
            ++kills;
            continue;
        }
        const Ended ended = program.wait();
        INFO(ended.output);
        REQUIRE(ended.exit_code == 0);
        break;
    }
    CHECK(kills > 0);
    CHECK(read_checkpoint<float>(checkpoint_of(whole)).value().loss_scaler.skipped > 5);
    check_same(whole, folder);
}
