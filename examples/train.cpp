// examples/train.cpp   Trains a residual network on images, from the command line.
//     g++ -O2 -std=c++20 -march=native -pthread -Iinclude examples/train.cpp -o train && ./train
// Without --data it learns the handwritten digits in examples/data; --data DIR takes CIFAR-10, CIFAR-100, MNIST or
// Fashion-MNIST. It leaves checkpoint.safetensors, metrics.csv and report.html in --out, and can be killed at any
// moment: started again with --resume it ends with the same weights, bit for bit.
#include "gradus/gradus.hpp"

using namespace gradus;

namespace {

// The recipe: He et al. 2015, section 4.2, with the warm-up, the cosine and the decay rule of He T. et al. 2018.
struct Options {
    std::string data;
    std::string model = "resnet20";
    std::string device = "auto";
    std::string precision = "fp32";
    std::string schedule = "cosine";
    std::string out = "run";
    Index epochs = 30;
    Index batch = 128;
    Index warmup = 1;  // epochs
    Index seed = 1;
    Index threads = thread_count();
    double lr = 0.1;
    double label_smoothing = 0.0;
    double weight_decay = 5e-4;
    double loss_scale = LossScalerConfig{}.scale;
    bool fixed_scale = false;
    bool resume = false;
};

// 1,438 images of 8x8 pixels: a smaller network, more and smaller steps.
Options digits_recipe() {
    Options options;
    options.model = "resnet8";
    options.epochs = 20;
    options.batch = 32;
    options.lr = 0.05;
    return options;
}

GRADUS_COLD CommandLine command_line(Options& o) {
    const Options own;  // what holds with --data
    CommandLine line("train",
                     text("trains a residual network on images: the digits in examples/data, or those of --data.\n"
                          "The defaults below are those of the digits; with --data they are ",
                          own.model, ", ", own.epochs, " epochs, batch ", own.batch, ", lr ", shortest(own.lr), "."));
    line.string("data", o.data, "DIR", "folder of CIFAR-10, CIFAR-100 (binary version), MNIST or Fashion-MNIST");
    line.choice("model", o.model, {"resnet8", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110"}, "network");
    line.choice("device", o.device, device_names(),
                text("auto: a GPU where there is one, else the CPU; reference: the specification",
                     has_cuda ? "" : "; cuda: if compiled with nvcc or -DGRADUS_EMULATE_CUDA"));
    line.choice("precision", o.precision, {"fp32", "fp16", "bf16"}, "of activations; weights are float always");
    line.real("loss-scale", o.loss_scale, {1, 1e30}, "in fp16, of the first step; halved after an overflow");
    line.flag("fixed-scale", o.fixed_scale, "in fp16, the scale stays as it is; overflows are left out all the same");
    line.integer("epochs", o.epochs, {1, 100000}, "passes over the training set");
    line.integer("batch", o.batch, {2, 65536}, "images in a step");
    line.real("lr", o.lr, {0, 1000}, "learning rate after the warm-up");
    line.choice("schedule", o.schedule, {"constant", "step", "multistep", "cosine"}, "how the rate falls");
    line.integer("warmup", o.warmup, {0, 100000}, "epochs in which the rate rises to --lr, at most all but one");
    line.real("label-smoothing", o.label_smoothing, {0, 0.99}, "share of the target spread over all classes");
    line.integer("seed", o.seed, {0, 1000000000}, "of the weights, the order and the augmentation");
    line.integer("threads", o.threads, {1, 1024}, "the result does not depend on them");
    line.flag("resume", o.resume, "finish the run whose checkpoint is in --out, with the same settings");
    line.string("out", o.out, "DIR", "folder for the checkpoint, metrics.csv and report.html");
    return line;
}

// With what the resume of a run in fp16 has to agree.
std::string precision_of(const Options& o) {
    if (o.precision != "fp16") return o.precision;
    return text("fp16, ", o.fixed_scale ? "fixed" : "dynamic", " loss scale from ", shortest(o.loss_scale));
}

// What may not change between a start and its --resume. Threads may: they do not change a bit.
GRADUS_COLD Settings settings_of(const Options& o, const Dataset& data) {
    return {{"data", text(data.name, ", ", data.size(), " images")},
            {"model", o.model},
            {"device", o.device},
            {"precision", precision_of(o)},
            {"instruction set", instruction_set()},
            {"schedule", o.schedule},
            {"epochs", text(o.epochs)},
            {"batch", text(o.batch)},
            {"warmup", text(o.warmup)},
            {"seed", text(o.seed)},
            {"lr", shortest(o.lr)},
            {"label smoothing", shortest(o.label_smoothing)},
            {"weight decay", shortest(o.weight_decay)}};
}

// The rate of every step: warm-up, then the chosen decay over the rest.
GRADUS_COLD Schedule make_schedule(const Options& o, Index steps_per_epoch) {
    const Index warmup = std::min(o.warmup, o.epochs - 1) * steps_per_epoch;
    const Index rest = o.epochs * steps_per_epoch - warmup;
    Schedule decay = CosineDecay{.lr = o.lr, .steps = rest};
    if (o.schedule == "constant") decay = ConstantRate{o.lr};
    if (o.schedule == "step") decay = StepDecay{.lr = o.lr, .every = std::max<Index>(rest / 3, 1)};
    if (o.schedule == "multistep") decay = MultiStepDecay{.lr = o.lr, .milestones = {rest / 2, rest * 3 / 4}};
    return warmup == 0 ? decay : Then{GradualWarmup{.lr = o.lr, .steps = warmup}, warmup, decay};
}

// The digits, as seen from here, from where the program is, or beside this source file.
GRADUS_COLD std::string digits_folder(const std::string& program) {
    const std::string here = "examples/data";
    for (const std::string& folder :
         {here, join_path(directory_of(program), here), join_path(directory_of(__FILE__), "data")})
        if (is_file(join_path(folder, "digits.bin"))) return folder;
    return here;
}

// The page of a finished run. `images` is the number of an epoch.
GRADUS_COLD ReportData make_report(const Options& o, const Dataset& test, const Evaluation& evaluation,
                                   const std::vector<EpochMetrics>& history, const Settings& settings,
                                   const Tensor<float>& filters, Index images, std::size_t peak_bytes) {
    ReportData report;
    report.title = test.name;
    report.history = history;
    report.classes = test.classes;
    const Index K = evaluation.confusion.classes();
    for (Index truth = 0; truth < K; ++truth)
        for (Index prediction = 0; prediction < K; ++prediction)
            report.confusion.push_back(evaluation.confusion.count(truth, prediction));
    const Shape& shape = test.images.shape();
    for (std::size_t i = 0; i < std::min<std::size_t>(evaluation.mistakes.size(), 24); ++i) {
        const Misclassified& m = evaluation.mistakes[i];
        const Tensor<std::uint8_t> image = test.images.slice(m.index, m.index + 1);
        report.mistakes.push_back(
            {image.to_vector(), {shape[1], shape[2], shape[3]}, m.truth, m.prediction, m.confidence});
    }
    const Index steps_per_epoch = ceil_div(images, o.batch);
    const Schedule schedule = make_schedule(o, steps_per_epoch);
    for (Index i = 0; i < o.epochs * steps_per_epoch; ++i) report.lr.push_back(schedule(i));
    report.filters = filters.to_vector();
    report.filter_shape = filters.shape();
    for (const auto& [name, value] : settings) report.settings.push_back({name, value});
    double seconds = 0;
    for (const EpochMetrics& m : history) seconds += m.seconds;
    const double epochs = static_cast<double>(history.size());
    report.timings = {{"an epoch", human_duration(seconds / epochs)},
                      {"images/s", with_separators(std::llround(static_cast<double>(images) * epochs / seconds))},
                      {"threads", text(thread_count())},
                      {"instruction set", instruction_set()},
                      {"peak memory of tensors", text(peak_bytes >> 20, " MB")}};
    return report;
}

// How batches to train on are made. Flipped photographs are other photographs; digits stay as they are.
LoaderOptions training_options(const Options& o, const Dataset& train, const ChannelStatistics& normalisation) {
    const Shape& images = train.images.shape();
    return {.batch_size = o.batch,
            .shuffle = true,
            .drop_last = train.size() >= o.batch,
            .seed = static_cast<std::uint64_t>(o.seed),
            .augmentation = {.flip = images[3] == 3, .crop_padding = images[1] >= 28 ? 4 : 1},
            .normalisation = normalisation};
}

std::string checkpoint_of(const Options& o) { return o.out + "/checkpoint.safetensors"; }

GRADUS_COLD void print_setup(const Options& o, const DataPair& data, const std::vector<SummaryRow>& layers) {
    std::printf("%s\n", summary_table(layers).c_str());
    std::printf("%s: %s training and %s test images, %s in %s on %s (%s, %s threads)\n", data.train.name.c_str(),
                with_separators(data.train.size()).c_str(), with_separators(data.test.size()).c_str(), o.model.c_str(),
                o.precision.c_str(), o.device.c_str(), instruction_set().c_str(), text(thread_count()).c_str());
}

GRADUS_COLD std::string epoch_line(const EpochMetrics& m, Index epochs) {
    std::string line = text("epoch ", m.epoch, "/", epochs, "  loss ", readable(m.train_loss), "  accuracy ",
                            percent(m.train_accuracy), "  test loss ", readable(m.test_loss), "  test accuracy ",
                            percent(m.test_accuracy), "  ", human_duration(m.seconds));
    if (m.skipped_steps > 0)
        line += text("  ", m.skipped_steps, m.skipped_steps == 1 ? " step" : " steps",
                     " skipped: overflow, loss scale now ", shortest(m.loss_scale));
    return line;
}

// How far a run has come, whatever its precision and device.
struct Progress {
    Index epoch = 0, step = 0;  // done
    std::vector<EpochMetrics> history;
    LossScaler scaler;  // moves in fp16 only
};

// After an epoch. The checkpoint comes last: killed in between, the epoch is done again, and metrics.csv written again.
GRADUS_COLD Status save(const Options& o, const Settings& settings, const Progress& progress,
                        std::vector<NamedTensor<float>> model, std::vector<Tensor<float>> velocities) {
    const Status listed = write_file_atomically(o.out + "/metrics.csv", metrics_csv(progress.history));
    if (!listed.ok()) return listed;
    return write_checkpoint(checkpoint_of(o), Checkpoint<float>{std::move(model),
                                                                std::move(velocities),
                                                                {{"default", default_generator()}},
                                                                progress.epoch,
                                                                progress.step,
                                                                progress.history,
                                                                settings,
                                                                progress.scaler.state()});
}

// For --resume: the checkpoint, if it is one of this run. Sets all but the model and the optimiser.
GRADUS_COLD Result<Checkpoint<float>> restore(const Options& o, const Settings& settings, Progress& progress) {
    Result<Checkpoint<float>> read = read_checkpoint<float>(checkpoint_of(o));
    if (!read.ok()) return read;
    const Checkpoint<float>& checkpoint = read.value();
    if (Status same = check_settings(checkpoint_of(o), checkpoint.settings, settings); !same.ok())
        return Failure{same.error()};
    default_generator() = checkpoint.generators.at("default");
    progress.epoch = checkpoint.epoch;
    progress.step = checkpoint.step;
    progress.history = checkpoint.history;
    progress.scaler.restore(checkpoint.loss_scaler);
    return read;
}

// Everything that changes while it learns. Parameters are float for every T.
template <class T, class D>
struct Training {
    CifarResNet<T, D> model;
    Sgd<float, D> sgd;
    Progress progress;

    Training(const CifarResNetConfig& config, const Options& o)
        : model(config), sgd(no_bias_decay(model.parameters(), o.weight_decay), {.momentum = 0.9, .nesterov = true}) {
        const bool is_scaled = std::same_as<T, Half>;
        progress.scaler = LossScaler({.scale = is_scaled ? o.loss_scale : 1, .dynamic = is_scaled && !o.fixed_scale});
    }

    // Backward and the update. In Half a step that overflows is left out.
    void learn(const Variable<float, D>& loss, double lr) {
        sgd.zero_grad();
        if constexpr (std::same_as<T, Half>) {
            scaled_step(loss, sgd, progress.scaler, lr);
        } else {
            loss.backward();
            sgd.step(lr);
        }
    }
};

// One pass over the training set. Returns the epoch's training figures; the test figures are the caller's.
template <class T, class D>
EpochMetrics train_epoch(Training<T, D>& training, const Loader<T, D>& loader, const Options& o, ProgressBar& bar) {
    const Schedule schedule = make_schedule(o, loader.batches());
    RunningAverage loss, accuracy;
    Progress& progress = training.progress;
    EpochMetrics metrics{.epoch = progress.epoch + 1};
    const Index skipped = progress.scaler.skipped();
    for (const Batch<T, D>& batch : loader.epoch(progress.epoch)) {
        metrics.lr = schedule(progress.step++);
        const Variable<T, D> logits = training.model(Variable<T, D>(batch.images));
        const Variable<float, D> objective =
            cross_entropy(logits, batch.labels, {.label_smoothing = o.label_smoothing});
        training.learn(objective, metrics.lr);

        const double size = static_cast<double>(batch.size());
        loss.add(static_cast<double>(objective.item()), size);
        accuracy.add(gradus::accuracy(logits.value(), batch.labels), size);
        GRADUS_CHECK(std::isfinite(loss.value()), "the loss is not finite in step ", progress.step,
                     "; try a lower --lr");
        const double seconds = bar.seconds();
        if (progress.step == 10)
            bar.finish(text("an epoch will take about ",
                            human_duration(seconds / 10 * static_cast<double>(loader.batches()))));
        bar.update(static_cast<Index>(loss.weight()), loss.value(), accuracy.value());
    }
    metrics.train_loss = loss.value();
    metrics.train_accuracy = accuracy.value();
    metrics.seconds = bar.seconds();
    metrics.loss_scale = progress.scaler.scale();
    metrics.skipped_steps = progress.scaler.skipped() - skipped;
    ++progress.epoch;
    return metrics;
}

int complain(const std::string& message) {
    std::fprintf(stderr, "train: %s\n", message.c_str());
    return 1;
}

// The page and the last lines of a run.
GRADUS_COLD int finish(const Options& o, const Dataset& test, const Evaluation& evaluation, const Progress& progress,
                       const Settings& settings, const Tensor<float>& filters, Index images, std::size_t peak_bytes) {
    const ReportData report = make_report(o, test, evaluation, progress.history, settings, filters, images, peak_bytes);
    const Status written = write_file_atomically(o.out + "/report.html", report_html(report));
    if (!written.ok()) return complain(written.error());
    std::printf("wrote %s, metrics.csv and report.html\n", checkpoint_of(o).c_str());
    std::printf("test accuracy %s\n", percent(evaluation.accuracy()).c_str());
    return 0;
}

// Before the first epoch of a run that goes on, and after every epoch. They are the same for every T, since parameters
// are float.
template <class D>
GRADUS_COLD Status resume(const Options& o, const Settings& settings, Progress& progress, ModuleTree<float, D>& model,
                          Sgd<float, D>& sgd) {
    const Result<Checkpoint<float>> checkpoint = restore(o, settings, progress);
    if (!checkpoint.ok()) return Failure{"cannot resume: " + checkpoint.error()};
    load_state_dict(model, checkpoint.value().model);
    load_velocities(sgd, checkpoint.value().velocities);
    return Done{};
}
template <class D>
GRADUS_COLD Status end_epoch(const Options& o, const Settings& settings, Progress& progress,
                             ModuleTree<float, D>& model, Sgd<float, D>& sgd, EpochMetrics metrics,
                             const Evaluation& evaluation, ProgressBar& bar) {
    metrics.test_loss = evaluation.loss;
    metrics.test_accuracy = evaluation.accuracy();
    progress.history.push_back(metrics);
    bar.finish(epoch_line(metrics, o.epochs));
    return save(o, settings, progress, state_dict(model), host_velocities(sgd));
}

template <class T, class D>
GRADUS_COLD int train(const Options& o, const DataPair& data) {
    const Settings settings = settings_of(o, data.train);
    const Shape& images = data.train.images.shape();
    manual_seed(static_cast<std::uint64_t>(o.seed));
    Training<T, D> training({.depth = std::stol(o.model.substr(6)),
                             .classes = static_cast<Index>(data.train.classes.size()),
                             .channels = images[3]},
                            o);
    Progress& progress = training.progress;
    if (o.resume) {
        const Status resumed = resume<D>(o, settings, progress, training.model, training.sgd);
        if (!resumed.ok()) return complain(resumed.error());
    }

    const ChannelStatistics normalisation = channel_statistics(data.train);
    const Loader<T, D> train_loader(data.train, training_options(o, data.train, normalisation));
    const Loader<T, D> test_loader(data.test, {.batch_size = 256, .normalisation = normalisation});
    print_setup(o, data, summary_rows(training.model, {1, images[1], images[2], images[3]}));

    Evaluation evaluation;
    if (progress.epoch == o.epochs) evaluation = evaluate(training.model, test_loader);  // resumed at the end
    while (progress.epoch < o.epochs) {
        ProgressBar bar(text("epoch ", progress.epoch + 1, "/", o.epochs), train_loader.images());
        const EpochMetrics metrics = train_epoch(training, train_loader, o, bar);
        evaluation = evaluate(training.model, test_loader);
        const Status saved =
            end_epoch<D>(o, settings, progress, training.model, training.sgd, metrics, evaluation, bar);
        if (!saved.ok()) return complain(saved.error());
    }
    return finish(o, data.test, evaluation, progress, settings,
                  training.model.parameters()[0].value().template to<Cpu>(), train_loader.images(),
                  memory_stats(D{}).peak_bytes);
}

// Every pair of precision and device compiles the whole network once more.
template <class D>
int train_in(const Options& o, const DataPair& data) {
    if (o.precision == "fp16") return train<Half, D>(o, data);
    if (o.precision == "bf16") return train<BFloat16, D>(o, data);
    return train<float, D>(o, data);
}

// Options that do not go together; "" if there are none.
GRADUS_COLD std::string contradiction(const Options& o) {
    if (o.precision != "fp16" && (o.loss_scale != Options{}.loss_scale || o.fixed_scale))
        return "--loss-scale and --fixed-scale are for --precision fp16";
    return "";
}

bool wants_own_data(int argc, char** argv) {
    for (int i = 1; i < argc; ++i)
        if (std::string_view(argv[i]).starts_with("--data")) return true;
    return false;
}

}  // namespace

GRADUS_COLD int main(int argc, char** argv) {
    Options options = wants_own_data(argc, argv) ? Options{} : digits_recipe();
    const CommandLine::Outcome outcome = command_line(options).parse(argc, argv);
    if (outcome.stop) return outcome.print();
    options.device = resolve_device(options.device);
    if (const std::string warning = instruction_set_warning(); !warning.empty() && options.device != "cuda")
        std::fprintf(stderr, "%s\n", warning.c_str());
    if (const std::string wrong = contradiction(options); !wrong.empty()) return complain(wrong);
    if (const Status folder = prepare_folder(options.out); !folder.ok()) return complain(folder.error());
    const Result<DataPair> data = load_dataset(options.data.empty() ? digits_folder(argv[0]) : options.data);
    if (!data.ok() && options.data.empty())
        return complain(data.error() + "; start train in Gradus' folder, or give it --data DIR");
    if (!data.ok()) return complain(data.error());
    if (data.value().train.size() < 2 || data.value().test.size() == 0)
        return complain(text("needs 2 training images and a test image, ", options.data, " has ",
                             data.value().train.size(), " and ", data.value().test.size()));
    set_threads(static_cast<int>(options.threads));
    if (!options.resume && is_file(checkpoint_of(options)))
        std::fprintf(stderr, "note: this run will replace %s; --resume would have gone on from it\n",
                     checkpoint_of(options).c_str());
    try {
        return with_device(options.device,
                           [&](auto device) { return train_in<decltype(device)>(options, data.value()); });
    } catch (const Error& error) {
        return complain(error.what());
    }
}
