// training/command_line.hpp   The options of a program, declared once: name, default, what is allowed, help.
//     Index epochs = 30;
//     std::string model = "resnet20";
//     CommandLine options("train", "Trains a residual network.");
//     options.integer("epochs", epochs, {1, 10000}, "passes over the training set");
//     options.choice("model", model, {"resnet20", "resnet56"}, "the network");
//     const CommandLine::Outcome outcome = options.parse(argc, argv);
//     if (outcome.stop) return outcome.print();
// The variables hold the defaults and receive the values: --epochs 5 or --epochs=5, of repeated ones the last. A flag
// is --resume, or --no-flip where its default is true. Errors name what was given and what is allowed.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gradus/core/check.hpp"
#include "gradus/core/shape.hpp"

namespace gradus::inline GRADUS_ABI {

// The number of insertions, deletions and replacements that turn a into b: Levenshtein 1966; Wagner & Fischer 1974.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);  // distances from a's first i letters to every beginning of b
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
        }
    }
    return row[b.size()];
}

class CommandLine {
public:
    struct Outcome {
        bool stop = false;    // there is an error, or --help was asked for
        int exit_code = 0;    // 2 for an error
        std::string message;  // the error, or the help

        int print() const {
            std::fprintf(exit_code == 0 ? stdout : stderr, "%s\n", message.c_str());
            return exit_code;
        }
    };
    struct IntegerRange {
        Index low = 0, high = std::numeric_limits<Index>::max();
    };
    struct RealRange {
        double low, high;
    };

    CommandLine(std::string program, std::string purpose)
        : program_(std::move(program)), purpose_(std::move(purpose)) {}

    void integer(const std::string& name, Index& value, IntegerRange range, const std::string& help) {
        const bool bounded = range.high < std::numeric_limits<Index>::max();
        const std::string allowed = bounded ? text("a whole number from ", range.low, " to ", range.high)
                                            : text("a whole number of at least ", range.low);
        add({name, "N", help, allowed, std::to_string(value), [&value, range](const std::string& given) {
                 Index number = 0;
                 const char* end = given.data() + given.size();
                 const std::from_chars_result read = std::from_chars(given.data(), end, number);
                 if (read.ec != std::errc() || read.ptr != end || number < range.low || number > range.high)
                     return false;
                 value = number;
                 return true;
             }});
    }
    void real(const std::string& name, double& value, RealRange range, const std::string& help) {
        const std::string allowed = text("a number from ", range.low, " to ", range.high);
        add({name, "X", help, allowed, text(value), [&value, range](const std::string& given) {
                 char* end = nullptr;
                 const double number = std::strtod(given.c_str(), &end);
                 const bool in_range = number >= range.low && number <= range.high;  // false for NaN
                 if (end != given.c_str() + given.size() || !in_range) return false;
                 value = number;
                 return true;
             }});
    }
    void choice(const std::string& name, std::string& value, const std::vector<std::string>& choices,
                const std::string& help) {
        std::string allowed = "one of";
        for (const std::string& choice : choices) allowed += " " + choice;
        add({name, "NAME", help, allowed, value, [&value, choices](const std::string& given) {
                 if (std::find(choices.begin(), choices.end(), given) == choices.end()) return false;
                 value = given;
                 return true;
             }});
    }
    // Any text that is not empty, such as a file name. `placeholder` stands for it in the help: --data DIR.
    void string(const std::string& name, std::string& value, const std::string& placeholder, const std::string& help) {
        add({name, placeholder, help, "", value, [&value](const std::string& given) {
                 value = given;
                 return true;
             }});
    }
    void flag(const std::string& name, bool& value, const std::string& help) {
        const bool switched = !value;
        add({switched ? name : "no-" + name, "", help, "", "", [&value, switched](const std::string&) {
                 value = switched;
                 return true;
             }});
    }

    GRADUS_COLD Outcome parse(int argc, const char* const* argv) const {
        for (int i = 1; i < argc; ++i) {
            const std::string argument = argv[i];
            if (argument == "--help" || argument == "-h") return {true, 0, help()};
            const std::size_t equals = argument.find('=');
            const std::string name = argument.substr(0, equals);
            const Option* option = find(name);
            if (option == nullptr) return unknown(name);
            const bool takes_value = !option->placeholder.empty();
            if (!takes_value && equals != std::string::npos)
                return error(name + " takes no value, got '" + argument + "'");
            std::string value;
            if (equals != std::string::npos)
                value = argument.substr(equals + 1);
            else if (takes_value && i + 1 < argc && !std::string_view(argv[i + 1]).starts_with("--"))
                value = argv[++i];
            if (takes_value && value.empty())
                return error(name + " needs a value" + (option->allowed.empty() ? "" : ", " + option->allowed));
            if (!option->assign(value)) return error(name + " '" + value + "' is not " + option->allowed);
        }
        return {};
    }

    GRADUS_COLD std::string help() const {
        std::string out = program_ + ": " + purpose_ + "\n\nOptions:\n";
        for (const Option& option : options_) {
            std::string left = "  --" + option.name + (option.placeholder.empty() ? "" : " " + option.placeholder);
            left.resize(std::max<std::size_t>(left.size() + 2, 24), ' ');
            std::string right = option.help;
            if (!option.allowed.empty()) right += ", " + option.allowed;
            if (!option.initial.empty()) right += " (default " + option.initial + ")";
            out += left + right + "\n";
        }
        return out + "  --help                this text";
    }

private:
    struct Option {
        std::string name, placeholder;  // without a placeholder: a flag, which takes no value
        std::string help, allowed, initial;
        std::function<bool(const std::string&)> assign;  // false: the value is not allowed
    };

    void add(Option option) { options_.push_back(std::move(option)); }

    // `name` with its two dashes.
    const Option* find(const std::string& name) const {
        for (const Option& option : options_)
            if ("--" + option.name == name) return &option;
        return nullptr;
    }

    Outcome error(const std::string& message) const {
        return {true, 2, program_ + ": " + message + "\nSee " + program_ + " --help."};
    }
    GRADUS_COLD Outcome unknown(const std::string& name) const {
        std::string message = "there is no option '" + name + "'";
        std::string all;
        const Option* nearest = nullptr;
        std::size_t least = 3;  // more than two slips: probably another word
        for (const Option& option : options_) {
            const std::size_t distance = edit_distance(name, "--" + option.name);
            if (distance < least) nearest = &option, least = distance;
            all += " --" + option.name;
        }
        if (nearest != nullptr) message += "; did you mean --" + nearest->name + "?";
        return error(message + "\nAllowed are" + all + " --help");
    }

    std::string program_, purpose_;
    std::vector<Option> options_;
};

}  // namespace gradus::inline GRADUS_ABI
