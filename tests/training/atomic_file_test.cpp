#include "gradus/training/atomic_file.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cstdlib>
#include <vector>

#include "gradus/data/file_reader.hpp"

using namespace gradus;

namespace {

// A new folder, removed with the files that the tests put there.
struct TemporaryFolder {
    TemporaryFolder() {
        char name[] = "/tmp/gradus-atomic-XXXXXX";
        REQUIRE(mkdtemp(name) != nullptr);
        path = name;
    }
    ~TemporaryFolder() {
        for (const char* file : {"/file", "/file.tmp", "/a/b", "/a"}) std::remove((path + file).c_str());
        std::remove(path.c_str());
    }
    std::string path;
};

std::string contents(const std::string& path) {
    Result<FileReader> file = FileReader::open(path);
    std::string out(static_cast<std::size_t>(file.value().size()), '\0');
    REQUIRE(file.value().read(reinterpret_cast<std::uint8_t*>(out.data()), file.value().size()).ok());
    return out;
}

}  // namespace

TEST_CASE("a file is written and replaced, and nothing else is left") {
    const TemporaryFolder folder;
    const std::string path = folder.path + "/file";
    CHECK(write_file_atomically(path, std::string_view("first")).ok());
    CHECK(contents(path) == "first");
    CHECK(write_file_atomically(path, std::string_view("2nd")).ok());
    CHECK(contents(path) == "2nd");
    CHECK(write_file_atomically(path, std::string_view("")).ok());
    CHECK(contents(path) == "");
    CHECK(!is_file(path + ".tmp"));
}

TEST_CASE("what cannot be written is an error with the name, and leaves the old file") {
    const TemporaryFolder folder;
    const std::string missing = folder.path + "/missing/file";
    CHECK(write_file_atomically(missing, std::string_view("x")).error() ==
          missing + ": cannot be written: No such file or directory");
    REQUIRE(::mkdir((folder.path + "/file.tmp").c_str(), 0755) == 0);  // in the way of the temporary file
    const std::string path = folder.path + "/file";
    CHECK(write_file_atomically(path, std::string_view("x")).error() == path + ": cannot be written: Is a directory");
    CHECK(!is_file(path));
}

TEST_CASE("prepare_folder makes what is missing and refuses what is no folder") {
    const TemporaryFolder folder;
    CHECK(prepare_folder(folder.path).ok());
    CHECK(prepare_folder(folder.path + "/a/b").ok());
    CHECK(prepare_folder(folder.path + "/a/b/").ok());
    CHECK(is_directory(folder.path + "/a/b"));
    CHECK(!is_file(folder.path + "/a/b/write-test"));
    const std::string path = folder.path + "/file";
    REQUIRE(write_file_atomically(path, std::string_view("x")).ok());
    CHECK(prepare_folder(path).error() == path + ": this is not a folder");
    CHECK(!prepare_folder(path + "/below").ok());
    CHECK(!prepare_folder("").ok());
    CHECK(!prepare_folder("/proc/gradus").ok());  // nobody can write there, not even root
}

// A child replaces the file again and again, and is killed at some moment. What is left is one of the files it wrote.
TEST_CASE("kill -9 while a file is replaced leaves a whole file") {
    const TemporaryFolder folder;
    const std::string path = folder.path + "/file";
    const std::size_t size = std::size_t{1} << 20;
    REQUIRE(write_file_atomically(path, std::string(size, 'a')).ok());
    int replaced = 0;
    for (int round = 0; round < 25; ++round) {
        const pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            for (char letter = 'b'; true; letter = letter == 'z' ? 'b' : static_cast<char>(letter + 1))
                if (!write_file_atomically(path, std::string(size, letter)).ok()) _exit(1);
        }
        usleep(static_cast<useconds_t>(500 + 1700 * round));
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(WIFSIGNALED(status));
        const std::string found = contents(path);
        CHECK(found == std::string(size, found[0]));
        if (found[0] != 'a') ++replaced;
    }
    CHECK(replaced > 0);
}
