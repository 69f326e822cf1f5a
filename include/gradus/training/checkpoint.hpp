// training/checkpoint.hpp   Everything that a training run needs to go on as if it had not been interrupted.
// Problem  A long run gets killed. Weights alone do not bring it back: the optimiser's velocities, the running
//          statistics, the generators' positions and the place in the schedule decide the next step as well.
// Answer   One safetensors file. The model's tensors have their own names, so that any safetensors reader loads them
//          (in Python: safetensors.torch.load_file(path), then load_state_dict(..., strict=False)). The rest is called
//          "training.*", and the settings are in the metadata.
// Safety   The file is replaced atomically, so a kill leaves the old or the new one (atomic_file.hpp), and checksums
//          find any changed byte (checksums.hpp). The previous checkpoint is not kept: nothing that happens to the
//          program can spoil the only one, and to go on silently from an older one would hide a failing disk.
// Size     with momentum, about twice the model's parameters.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/random.hpp"
#include "gradus/nn/state_dict.hpp"
#include "gradus/training/checksums.hpp"
#include "gradus/training/loss_scaler.hpp"
#include "gradus/training/metrics.hpp"
#include "gradus/training/sgd.hpp"

namespace gradus::inline GRADUS_ABI {

// What a run was started with and must not change on the way: model, seed, batch, ...
using Settings = std::map<std::string, std::string>;

template <class P>
struct Checkpoint {
    std::vector<NamedTensor<P>> model;            // parameters and running statistics, from state_dict()
    std::vector<Tensor<P, Cpu>> velocities;       // the optimiser's, from host_velocities(); undefined ones stay so
    std::map<std::string, Generator> generators;  // by their purpose
    Index epoch = 0, step = 0;                    // completed
    std::vector<EpochMetrics> history;
    Settings settings;
    LossScalerState loss_scaler = {};  // of a run in Half
};

template <FloatingElement P, Device D>
GRADUS_COLD std::vector<Tensor<P, Cpu>> host_velocities(Sgd<P, D>& sgd) {
    std::vector<Tensor<P, Cpu>> copies;
    for (const Tensor<P, D>& velocity : sgd.velocities())
        copies.push_back(velocity.defined() ? velocity.template to<Cpu>() : Tensor<P, Cpu>());
    return copies;
}
// Gives them back to an optimiser of the same parameters.
template <FloatingElement P, Device D>
GRADUS_COLD void load_velocities(Sgd<P, D>& sgd, const std::vector<Tensor<P, Cpu>>& copies) {
    GRADUS_CHECK(copies.size() == sgd.velocities().size(), "load_velocities: ", copies.size(), " velocities for ",
                 sgd.velocities().size(), " parameters");
    for (std::size_t i = 0; i < copies.size(); ++i)
        sgd.velocities()[i] = copies[i].defined() ? copies[i].template to<D>() : Tensor<P, D>();
}

// Fails on the first setting that differs from what the run was started with.
GRADUS_COLD inline Status check_settings(const std::string& path, const Settings& started_with, const Settings& now) {
    for (const auto& [name, value] : now) {
        const auto found = started_with.find(name);
        if (found == started_with.end()) return Failure{text(path, ": the run was started without a ", name)};
        if (found->second != value)
            return Failure{text(path, ": the run was started with ", name, " ", found->second, ", not ", value)};
    }
    for (const auto& [name, value] : started_with)
        if (now.count(name) == 0) return Failure{text(path, ": the run was started with ", name, " ", value)};
    return Done{};
}

// The model's tensors of a file, ours or another library's. Leaves out what belongs to the training and whole numbers
// (PyTorch's num_batches_tracked).
template <class P>
GRADUS_COLD Result<std::vector<NamedTensor<P>>> model_tensors(const SafetensorsFile& file) {
    std::vector<NamedTensor<P>> model;
    for (const FileTensor& entry : file.tensors) {
        if (entry.name.starts_with("training.") || entry.dtype == Dtype::I64) continue;
        Result<Tensor<P, Cpu>> tensor = file.template tensor<P>(entry.name);
        if (!tensor.ok()) return Failure{tensor.error()};
        model.push_back({entry.name, std::move(tensor).value()});
    }
    return model;
}

// EpochMetrics as a row of doubles; an epoch number is exact in a double.
inline constexpr Index history_columns = 9;
GRADUS_COLD inline Tensor<double> history_tensor(const std::vector<EpochMetrics>& history) {
    std::vector<double> values;
    for (const EpochMetrics& m : history)
        values.insert(values.end(), {static_cast<double>(m.epoch), m.lr, m.train_loss, m.train_accuracy, m.test_loss,
                                     m.test_accuracy, m.seconds, m.loss_scale, static_cast<double>(m.skipped_steps)});
    return Tensor<double>::from({static_cast<Index>(history.size()), history_columns}, values);
}
GRADUS_COLD inline std::vector<EpochMetrics> history_from(const Tensor<double>& tensor) {
    std::vector<EpochMetrics> history;
    const View<const double, 2> rows = tensor.read<2>();
    for (Index i = 0; i < rows.shape()[0]; ++i)
        history.push_back({static_cast<Index>(rows(i, 0)), rows(i, 1), rows(i, 2), rows(i, 3), rows(i, 4), rows(i, 5),
                           rows(i, 6), rows(i, 7), static_cast<Index>(rows(i, 8))});
    return history;
}

template <class P>
GRADUS_COLD Status write_checkpoint(const std::string& path, const Checkpoint<P>& checkpoint) {
    std::vector<FileTensor> tensors;
    for (const NamedTensor<P>& entry : checkpoint.model) {
        GRADUS_CHECK(!entry.name.starts_with("training."), "checkpoint: a model's tensor is called ", entry.name);
        tensors.push_back(file_tensor(entry.name, entry.tensor));
    }
    for (std::size_t i = 0; i < checkpoint.velocities.size(); ++i)
        if (checkpoint.velocities[i].defined())
            tensors.push_back(file_tensor(text("training.velocity.", i), checkpoint.velocities[i]));

    std::vector<Tensor<std::int64_t>> generators;  // alive until the file is encoded
    for (const auto& [name, g] : checkpoint.generators) {
        const std::int64_t state[] = {static_cast<std::int64_t>(g.seed), static_cast<std::int64_t>(g.stream),
                                      static_cast<std::int64_t>(g.position)};
        generators.push_back(Tensor<std::int64_t>::from({3}, state));
        tensors.push_back(file_tensor("training.generator." + name, generators.back()));
    }
    const Tensor<std::int64_t> position = Tensor<std::int64_t>::from(
        {3}, {checkpoint.epoch, checkpoint.step, static_cast<Index>(checkpoint.velocities.size())});
    const Tensor<double> history = history_tensor(checkpoint.history);
    const Tensor<double> scaler =
        Tensor<double>::from({3}, {checkpoint.loss_scaler.scale, static_cast<double>(checkpoint.loss_scaler.good_steps),
                                   static_cast<double>(checkpoint.loss_scaler.skipped)});
    tensors.push_back(file_tensor("training.position", position));
    tensors.push_back(file_tensor("training.loss_scaler", scaler));
    tensors.push_back(file_tensor("training.history", history));

    std::map<std::string, std::string> metadata = {{"gradus_checkpoint", "2"}};
    for (const auto& [name, value] : checkpoint.settings) metadata["setting." + name] = value;
    return write_file_atomically(path, encode_with_checksums(std::move(tensors), std::move(metadata)));
}

// Fails with the file's name, and the place where there is one, if the file is missing, damaged, no checkpoint or one
// of another element type.
template <class P>
GRADUS_COLD Result<Checkpoint<P>> read_checkpoint(const std::string& path) {
    Result<SafetensorsFile> read = read_safetensors(path);
    if (!read.ok()) return Failure{read.error()};
    const SafetensorsFile& file = read.value();
    const auto version = file.metadata.find("gradus_checkpoint");
    if (version == file.metadata.end()) return Failure{path + ": this is not a checkpoint of Gradus"};
    if (version->second != "2") return Failure{path + ": a checkpoint of an unknown version, " + version->second};
    if (const Status intact = verify_checksums(file); !intact.ok()) return Failure{intact.error()};

    Checkpoint<P> checkpoint;
    const Result<Tensor<std::int64_t>> position = file.tensor<std::int64_t>("training.position");
    const Result<Tensor<double>> history = file.tensor<double>("training.history");
    const Result<Tensor<double>> scaler = file.tensor<double>("training.loss_scaler");
    Result<std::vector<NamedTensor<P>>> model = model_tensors<P>(file);
    if (!scaler.ok()) return Failure{scaler.error()};
    if (!position.ok()) return Failure{position.error()};
    if (!history.ok()) return Failure{history.error()};
    if (!model.ok()) return Failure{model.error()};
    if (position.value().shape() != Shape{3} || history.value().rank() != 2 ||
        history.value().shape()[1] != history_columns || scaler.value().shape() != Shape{3})
        return Failure{path + ": training.position, history or loss_scaler has another shape than Gradus writes"};
    const Index velocities = position.value().data()[2];
    if (velocities < 0 || velocities > 1'000'000) return Failure{text(path, ": ", velocities, " velocities")};
    checkpoint.epoch = position.value().data()[0];
    checkpoint.step = position.value().data()[1];
    checkpoint.velocities.resize(static_cast<std::size_t>(velocities));
    checkpoint.history = history_from(history.value());
    const double* scale = scaler.value().data();
    checkpoint.loss_scaler = {scale[0], static_cast<Index>(scale[1]), static_cast<Index>(scale[2])};
    checkpoint.model = std::move(model).value();

    for (std::size_t i = 0; i < checkpoint.velocities.size(); ++i) {
        const std::string name = text("training.velocity.", i);
        if (file.find(name) == nullptr) continue;
        Result<Tensor<P, Cpu>> velocity = file.template tensor<P>(name);
        if (!velocity.ok()) return Failure{velocity.error()};
        checkpoint.velocities[i] = std::move(velocity).value();
    }
    constexpr std::string_view generator_prefix = "training.generator.", setting_prefix = "setting.";
    for (const FileTensor& entry : file.tensors) {
        if (!entry.name.starts_with(generator_prefix)) continue;
        const Result<Tensor<std::int64_t>> state = file.tensor<std::int64_t>(entry.name);
        if (!state.ok() || state.value().numel() != 3) return Failure{path + ": " + entry.name + " is no generator"};
        const std::int64_t* fields = state.value().data();
        checkpoint.generators[entry.name.substr(generator_prefix.size())] = {static_cast<std::uint64_t>(fields[0]),
                                                                             static_cast<std::uint64_t>(fields[1]),
                                                                             static_cast<std::uint64_t>(fields[2])};
    }
    for (const auto& [key, value] : file.metadata)
        if (key.starts_with(setting_prefix)) checkpoint.settings[key.substr(setting_prefix.size())] = value;
    return checkpoint;
}

}  // namespace gradus::inline GRADUS_ABI
