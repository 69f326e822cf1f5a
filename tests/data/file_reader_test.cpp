#include "gradus/data/file_reader.hpp"

#include "temporary_directory.hpp"

using namespace gradus;

TEST_CASE("join_path puts one slash between") {
    CHECK(join_path("a", "b") == "a/b");
    CHECK(join_path("a/", "b") == "a/b");
    CHECK(join_path("", "b") == "b");
}

TEST_CASE("directory_of is the path without its last name") {
    CHECK(directory_of("a/b/c.bin") == "a/b");
    CHECK(directory_of("c.bin") == ".");
    CHECK(directory_of("/c.bin") == "/");
    CHECK(directory_of("a/") == "a");
}

TEST_CASE("files and directories are told apart") {
    const TemporaryDirectory directory;
    directory.write("file", "x");
    CHECK(is_file(directory.file("file")));
    CHECK(!is_file(directory.path()));
    CHECK(!is_file(directory.file("other")));
    CHECK(is_directory(directory.path()));
    CHECK(!is_directory(directory.file("file")));
}

TEST_CASE("FileReader reads in order and knows where it is") {
    const TemporaryDirectory directory;
    directory.write("file", Bytes{1, 2, 3, 4, 5});
    Result<FileReader> opened = FileReader::open(directory.file("file"));
    REQUIRE(opened.ok());
    FileReader& file = opened.value();
    CHECK(file.size() == 5);
    std::uint8_t bytes[4] = {};
    REQUIRE(file.read(bytes, 2).ok());
    CHECK(bytes[1] == 2);
    REQUIRE(file.read(bytes, 0).ok());
    CHECK(file.offset() == 2);
    CHECK(file.read(bytes, 4).error() == directory.file("file") + ", byte 5: the file ends too early");
    CHECK(file.error(3, "value ", 7).message == directory.file("file") + ", byte 3: value 7");
}

TEST_CASE("FileReader says why a file cannot be opened") {
    const TemporaryDirectory directory;
    CHECK(FileReader::open(directory.file("none")).error() == directory.file("none") + ": there is no such file");
    CHECK(FileReader::open(directory.path()).error() == directory.path() + ": this is not a file");
}

TEST_CASE("read_lines leaves out empty lines and any kind of line end") {
    const TemporaryDirectory directory;
    directory.write("names", "one\r\ntwo words\n\nthree");
    CHECK(read_lines(directory.file("names")).value() == std::vector<std::string>{"one", "two words", "three"});
    directory.write("empty", "");
    CHECK(read_lines(directory.file("empty")).value().empty());
    CHECK(!read_lines(directory.file("none")).ok());
}
