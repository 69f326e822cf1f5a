#include "gradus/training/checkpoint.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>

using namespace gradus;

namespace {

struct TemporaryFile {
    TemporaryFile() {
        char name[] = "/tmp/gradus-checkpoint-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        folder = name;
        path = folder + "/last.safetensors";
    }
    ~TemporaryFile() {
        for (const std::string& name : {path, path + ".tmp", folder}) std::remove(name.c_str());
    }
    std::string folder, path;
};

// Every number depends on `step`, so that a mixture of two checkpoints would show.
Checkpoint<float> sample(Index step) {
    Generator generator{5, 1, 0};
    generator.position = static_cast<std::uint64_t>(step);
    const float value = static_cast<float>(step);
    Checkpoint<float> checkpoint;
    checkpoint.model = {{"conv.weight", Tensor<float>::full({4, 3, 3, 3}, value)},
                        {"bn.running_mean", Tensor<float>::full({4}, value)}};
    checkpoint.velocities = {Tensor<float>::full({4, 3, 3, 3}, value), Tensor<float>()};
    checkpoint.generators = {{"dropout", generator}, {"loader", {~std::uint64_t{0}, 2, 3}}};
    checkpoint.epoch = 2;
    checkpoint.step = step;
    checkpoint.history = {{1, 0.1, 2.0 / 3, 0.5, 0.25, 0.75, 12.5}, {2, 0.05, 0.5, 0.6, 0.2, 0.8, 13, 4096, 3}};
    checkpoint.loss_scaler = {4096, 17, step};
    checkpoint.settings = {{"model", "resnet20"}, {"seed", "1"}};
    return checkpoint;
}
void check_equal(const Checkpoint<float>& a, const Checkpoint<float>& b) {
    REQUIRE(a.model.size() == b.model.size());
    for (const NamedTensor<float>& entry : a.model)
        for (const NamedTensor<float>& other : b.model)
            if (entry.name == other.name) CHECK(entry.tensor.to_vector() == other.tensor.to_vector());
    REQUIRE(a.velocities.size() == b.velocities.size());
    for (std::size_t i = 0; i < a.velocities.size(); ++i) {
        CHECK(a.velocities[i].defined() == b.velocities[i].defined());
        if (a.velocities[i].defined()) CHECK(a.velocities[i].to_vector() == b.velocities[i].to_vector());
    }
    CHECK(a.generators == b.generators);
    CHECK(a.epoch == b.epoch);
    CHECK(a.step == b.step);
    CHECK(history_tensor(a.history).to_vector() == history_tensor(b.history).to_vector());
    CHECK(a.settings == b.settings);
    CHECK(a.loss_scaler.scale == b.loss_scaler.scale);
    CHECK(a.loss_scaler.good_steps == b.loss_scaler.good_steps);
    CHECK(a.loss_scaler.skipped == b.loss_scaler.skipped);
}

}  // namespace

TEST_CASE("a checkpoint comes back, bit for bit") {
    const TemporaryFile file;
    REQUIRE(write_checkpoint(file.path, sample(7)).ok());
    const Checkpoint<float> read = read_checkpoint<float>(file.path).value();
    check_equal(sample(7), read);
    CHECK(read.model.size() == 2);  // names of the model only
    CHECK(metrics_csv(read.history) == metrics_csv(sample(7).history));
}

TEST_CASE("an empty checkpoint") {
    const TemporaryFile file;
    REQUIRE(write_checkpoint(file.path, Checkpoint<double>{}).ok());
    const Checkpoint<double> read = read_checkpoint<double>(file.path).value();
    CHECK(read.history.empty());
    CHECK(read.velocities.empty());
}

TEST_CASE("what is no checkpoint is refused") {
    const TemporaryFile file;
    CHECK(read_checkpoint<float>(file.path).error() == file.path + ": there is no such file");
    const Tensor<float> a = Tensor<float>::ones({2});
    REQUIRE(write_safetensors(file.path, {file_tensor("a", a)}).ok());
    CHECK(read_checkpoint<float>(file.path).error() == file.path + ": this is not a checkpoint of Gradus");
    REQUIRE(write_safetensors(file.path, {file_tensor("a", a)}, {{"gradus_checkpoint", "1"}}).ok());
    CHECK(read_checkpoint<float>(file.path).error() == file.path + ": a checkpoint of an unknown version, 1");
    REQUIRE(write_safetensors(file.path, {file_tensor("a", a)}, {{"gradus_checkpoint", "2"}}).ok());
    CHECK(read_checkpoint<float>(file.path).error() == file.path + ": it has no checksums");
    REQUIRE(write_checkpoint(file.path, sample(1)).ok());
    const std::string error = read_checkpoint<double>(file.path).error();
    CHECK(error.ends_with("is F32, not F64"));
}

TEST_CASE("a flipped bit or a missing end anywhere is refused, with the file's name") {
    const TemporaryFile file;
    Checkpoint<float> small = sample(3);
    small.model[0].tensor = Tensor<float>::ones({2});
    small.velocities.clear();
    REQUIRE(write_checkpoint(file.path, small).ok());
    const std::vector<std::byte> intact = read_safetensors(file.path).value().contents;
    int accepted = 0, unnamed = 0;
    for (std::size_t bit = 0; bit < intact.size() * 8; bit += 5) {  // 5 and 8 have no common divisor
        std::vector<std::byte> damaged = intact;
        damaged[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
        std::FILE* out = std::fopen(file.path.c_str(), "wb");
        std::fwrite(damaged.data(), 1, damaged.size(), out);
        std::fclose(out);
        const Result<Checkpoint<float>> read = read_checkpoint<float>(file.path);
        accepted += read.ok();
        unnamed += !read.error().starts_with(file.path);
    }
    for (std::size_t size = 0; size < intact.size(); size += 7) {
        std::FILE* out = std::fopen(file.path.c_str(), "wb");
        std::fwrite(intact.data(), 1, size, out);
        std::fclose(out);
        const Result<Checkpoint<float>> read = read_checkpoint<float>(file.path);
        accepted += read.ok();
        unnamed += !read.error().starts_with(file.path + ", byte ");
    }
    CHECK(accepted == 0);
    CHECK(unnamed == 0);
}

TEST_CASE("another setting is an error that names it") {
    const Settings stored = {{"model", "resnet20"}, {"seed", "1"}};
    CHECK(check_settings("c", stored, stored).ok());
    CHECK(check_settings("c", stored, {{"model", "resnet56"}, {"seed", "1"}}).error() ==
          "c: the run was started with model resnet20, not resnet56");
    CHECK(check_settings("c", stored, {{"model", "resnet20"}}).error() == "c: the run was started with seed 1");
    CHECK(check_settings("c", stored, {{"batch", "128"}, {"model", "resnet20"}, {"seed", "1"}}).error() ==
          "c: the run was started without a batch");
}

TEST_CASE("velocities move between an optimiser and a checkpoint") {
    Variable<float> a(Tensor<float>::ones({2}), true), b(Tensor<float>::ones({3}), true);
    Sgd<float> sgd({{{a, b}}}, {.momentum = 0.9});
    a.mutable_grad() = Tensor<float>::from({2}, {1, 2});
    sgd.step(0.1);
    const std::vector<Tensor<float>> copies = host_velocities(sgd);
    CHECK(copies[0].to_vector() == std::vector<float>{1, 2});
    CHECK(!copies[1].defined());
    sgd.step(0.1);
    CHECK(copies[0].to_vector() == std::vector<float>{1, 2});  // copies
    Sgd<float> other({{{a, b}}}, {.momentum = 0.9});
    load_velocities(other, copies);
    CHECK(other.velocities()[0].to_vector() == std::vector<float>{1, 2});
    CHECK(!other.velocities()[1].defined());
    CHECK_THROWS_AS(load_velocities(other, {}), Error);
}

// A child writes one checkpoint after the other and is killed at some moment. What is left is one of them, intact.
TEST_CASE("kill -9 while a checkpoint is written leaves a whole one") {
    const TemporaryFile file;
    REQUIRE(write_checkpoint(file.path, sample(0)).ok());
    for (int round = 0; round < 20; ++round) {
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            for (Index step = 1; true; ++step)
                if (!write_checkpoint(file.path, sample(step)).ok()) _exit(1);
        }
        usleep(static_cast<useconds_t>(500 + 1300 * round));
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(WIFSIGNALED(status));
        const Checkpoint<float> read = read_checkpoint<float>(file.path).value();
        check_equal(sample(read.step), read);
    }
    CHECK(read_checkpoint<float>(file.path).value().step > 0);
}
