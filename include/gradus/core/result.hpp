// core/result.hpp   Result<T>: a value, or the message of why there is none.
// Problem  A file may be missing, truncated or not what its name says. That is no mistake of the program, so it is no
//          precondition (core/check.hpp), and a program built with -fno-exceptions must be able to go on.
// Answer   Functions that read or write files return a Result:
//     Result<Dataset> read_it(const std::string& path) {
//         if (!exists(path)) return Failure{path + ": there is no such file"};
//         return dataset;
//     }
//     Result<Dataset> result = read_it(path);
//     if (!result.ok()) return Failure{result.error()};       hand the message on
//     Dataset dataset = read_it(path).value();                or: throw gradus::Error with the message
// A Status is the Result of a function that has nothing to hand out:  return Done{};
#pragma once

#include <string>
#include <utility>

#include "gradus/core/check.hpp"

namespace gradus::inline GRADUS_ABI {

struct Failure {
    std::string message;
};

// T has a default constructor, which makes what stands here where there is no value. (With std::optional every T would
// be 25 functions more to compile.)
template <class T>
class [[nodiscard]] Result {
public:
    Result(T value) : value_(std::move(value)), ok_(true) {}
    Result(Failure failure) : error_(std::move(failure.message)) {}

    bool ok() const { return ok_; }
    const std::string& error() const { return error_; }  // "" where ok()

    // The value. Where there is none, the message becomes an error of the program: gradus::Error, or the handler with
    // -fno-exceptions.
    T& value() & {
        if (!ok()) fail(error_);
        return value_;
    }
    const T& value() const& {
        if (!ok()) fail(error_);
        return value_;
    }
    T value() && {
        if (!ok()) fail(error_);
        return std::move(value_);
    }

private:
    T value_{};
    bool ok_ = false;
    std::string error_;
};

struct Done {};
using Status = Result<Done>;

}  // namespace gradus::inline GRADUS_ABI
