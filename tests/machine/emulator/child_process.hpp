// For tests of what ends a program: runs a body in a child process. Linux and macOS.
#pragma once

#include <doctest/doctest.h>

#include <csignal>
#include <iostream>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

// What a child process that runs the body writes to stderr, and the signal that ends it.
template <class Body>
std::string stderr_of_child(const Body& body, int& signal_number) {
    std::cout.flush();
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        for (const int each : {SIGSEGV, SIGABRT}) std::signal(each, SIG_DFL);  // instead of doctest's handlers
        body();
        _exit(0);
    }
    close(ends[1]);
    std::string text;
    char buffer[512];
    for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(got));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return text;
}
