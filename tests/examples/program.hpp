// Runs a program as a shell would, and can kill it.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

inline std::string contents(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    REQUIRE_MESSAGE(in.good(), path);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

struct Ended {
    int exit_code = -1;     // -1 where a signal ended it
    std::string output;     // of both streams
    std::string last_line;  // of the output
};

// A running program, whose output goes to the file `log`.
class Program {
public:
    Program(const std::string& path, const std::vector<std::string>& arguments, const std::string& log) : log_(log) {
        std::vector<char*> argv = {const_cast<char*>(path.c_str())};
        for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
        argv.push_back(nullptr);
        process_ = fork();
        REQUIRE(process_ >= 0);
        if (process_ == 0) {
            const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
            dup2(file, STDOUT_FILENO);
            dup2(file, STDERR_FILENO);
            execv(path.c_str(), argv.data());
            _exit(127);
        }
    }
    ~Program() {
        if (process_ > 0) kill_now();
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    bool has_ended() {
        if (process_ > 0 && waitpid(process_, &status_, WNOHANG) == process_) process_ = 0;
        return process_ == 0;
    }
    void kill_now() {
        kill(process_, SIGKILL);
        wait();
    }
    Ended wait() {
        if (process_ > 0) waitpid(process_, &status_, 0);
        process_ = 0;
        Ended ended{WIFEXITED(status_) ? WEXITSTATUS(status_) : -1, contents(log_), ""};
        const std::size_t end = ended.output.find_last_not_of('\n');
        if (end == std::string::npos) return ended;
        const std::size_t begin = ended.output.rfind('\n', end);
        ended.last_line = ended.output.substr(begin == std::string::npos ? 0 : begin + 1, end - begin);
        return ended;
    }

private:
    std::string log_;
    pid_t process_ = 0;
    int status_ = 0;
};
