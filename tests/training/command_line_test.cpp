#include "gradus/training/command_line.hpp"

#include <doctest/doctest.h>

using namespace gradus;

namespace {

struct Options {
    Index epochs = 30, seed = 0;
    double lr = 0.1;
    std::string model = "resnet20", data;
    bool resume = false, flip = true;

    CommandLine::Outcome parse(std::vector<const char*> arguments) {
        CommandLine line("train", "Trains a network.");
        line.integer("epochs", epochs, {1, 100}, "passes over the data");
        line.integer("seed", seed, {}, "of all random numbers");
        line.real("lr", lr, {0, 10}, "the learning rate");
        line.choice("model", model, {"resnet20", "resnet56"}, "the network");
        line.string("data", data, "DIR", "folder of the data set");
        line.flag("resume", resume, "goes on from the last checkpoint");
        line.flag("flip", flip, "does not mirror images");
        arguments.insert(arguments.begin(), "train");
        return line.parse(static_cast<int>(arguments.size()), arguments.data());
    }
    // The message of an error, which must be one.
    std::string error(std::vector<const char*> arguments) {
        const CommandLine::Outcome outcome = parse(std::move(arguments));
        CHECK(outcome.stop);
        CHECK(outcome.exit_code == 2);
        return outcome.message.substr(0, outcome.message.rfind("\nSee train --help."));
    }
};

}  // namespace

TEST_CASE("edit distance") {
    CHECK(edit_distance("", "abc") == 3);
    CHECK(edit_distance("abc", "") == 3);
    CHECK(edit_distance("kitten", "sitting") == 3);
    CHECK(edit_distance("epochs", "epochs") == 0);
}

TEST_CASE("options keep their defaults or take values") {
    Options options;
    CHECK(!options.parse({}).stop);
    CHECK(options.epochs == 30);
    CHECK(options.flip);
    CHECK(!options
               .parse({"--epochs", "5", "--lr=1e-3", "--model", "resnet56", "--data", "a=b", "--resume", "--no-flip",
                       "--seed", "9223372036854775807"})
               .stop);
    CHECK(options.epochs == 5);
    CHECK(options.lr == 1e-3);
    CHECK(options.model == "resnet56");
    CHECK(options.data == "a=b");
    CHECK(options.resume);
    CHECK(!options.flip);
    CHECK(options.seed == std::numeric_limits<Index>::max());
    CHECK(!options.parse({"--epochs", "6", "--epochs=7"}).stop);
    CHECK(options.epochs == 7);
}

TEST_CASE("wrong values say what is allowed") {
    Options options;
    const std::string whole = " is not a whole number from 1 to 100";
    for (const char* bad : {"0", "101", "1.5", "x", "5x", " 5", "99999999999999999999"})
        CHECK(options.error({"--epochs", bad}) == "train: --epochs '" + std::string(bad) + "'" + whole);
    for (const char* bad : {"-0.1", "11", "nan", "inf", "1,5"})
        CHECK(options.error({"--lr", bad}) == "train: --lr '" + std::string(bad) + "' is not a number from 0 to 10");
    CHECK(options.error({"--seed", "-1"}) == "train: --seed '-1' is not a whole number of at least 0");
    CHECK(options.error({"--model", "vgg"}) == "train: --model 'vgg' is not one of resnet20 resnet56");
    CHECK(options.error({"--epochs="}) == "train: --epochs needs a value, a whole number from 1 to 100");
    CHECK(options.error({"--data", ""}) == "train: --data needs a value");
    CHECK(options.error({"--epochs"}) == "train: --epochs needs a value, a whole number from 1 to 100");
    CHECK(options.error({"--data", "--resume"}) == "train: --data needs a value");
    CHECK(options.error({"--resume=yes"}) == "train: --resume takes no value, got '--resume=yes'");
    CHECK(options.epochs == 30);  // nothing was assigned
}

TEST_CASE("unknown options suggest the nearest and list all") {
    Options options;
    const std::string all = "\nAllowed are --epochs --seed --lr --model --data --resume --no-flip --help";
    CHECK(options.error({"--epoch", "3"}) == "train: there is no option '--epoch'; did you mean --epochs?" + all);
    CHECK(options.error({"-resume"}) == "train: there is no option '-resume'; did you mean --resume?" + all);
    CHECK(options.error({"--momentum=1"}) == "train: there is no option '--momentum'" + all);
    CHECK(options.error({"digits"}) == "train: there is no option 'digits'" + all);
    CHECK(options.error({"--flip"}) == "train: there is no option '--flip'" + all);
}

TEST_CASE("help shows names, what is allowed and defaults") {
    const CommandLine::Outcome outcome = Options().parse({"--epochs", "3", "--help"});
    CHECK(outcome.stop);
    CHECK(outcome.exit_code == 0);
    CHECK(outcome.message ==
          "train: Trains a network.\n\nOptions:\n"
          "  --epochs N            passes over the data, a whole number from 1 to 100 (default 30)\n"
          "  --seed N              of all random numbers, a whole number of at least 0 (default 0)\n"
          "  --lr X                the learning rate, a number from 0 to 10 (default 0.1)\n"
          "  --model NAME          the network, one of resnet20 resnet56 (default resnet20)\n"
          "  --data DIR            folder of the data set\n"
          "  --resume              goes on from the last checkpoint\n"
          "  --no-flip             does not mirror images\n"
          "  --help                this text");
}
