#include "gradus/core/result.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>

using namespace gradus;

namespace {

Result<std::string> read_name(bool there) {
    if (!there) return Failure{"name.txt: there is no such file"};
    return std::string("Gradus");
}

Status write_name(bool possible) {
    if (!possible) return Failure{"name.txt: cannot be written"};
    return Done{};
}

}  // namespace

TEST_CASE("a Result holds a value") {
    Result<std::string> result = read_name(true);
    REQUIRE(result.ok());
    CHECK(result.value() == "Gradus");
    CHECK(result.error() == "");
    result.value() += "!";
    const Result<std::string>& constant = result;
    CHECK(constant.value() == "Gradus!");
    CHECK(read_name(true).value() == "Gradus");
}

TEST_CASE("a Result holds a message, which value() throws") {
    const Result<std::string> result = read_name(false);
    REQUIRE(!result.ok());
    CHECK(result.error() == "name.txt: there is no such file");
    CHECK_THROWS_WITH_AS(result.value(), "name.txt: there is no such file", Error);
    CHECK_THROWS_WITH_AS(read_name(false).value(), "name.txt: there is no such file", Error);
}

TEST_CASE("a Status has no value but a message") {
    CHECK(write_name(true).ok());
    CHECK(write_name(false).error() == "name.txt: cannot be written");
}

TEST_CASE("a Result moves what cannot be copied") {
    Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
    const std::unique_ptr<int> owner = std::move(result).value();
    CHECK(*owner == 7);
}
