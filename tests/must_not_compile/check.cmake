# cmake -DCOMPILER=g++ -DINCLUDE=include -DSOURCE=x.cpp -P check.cmake
# Passes where x.cpp does not compile and the message is one a student can read: one error, at most `longest` lines
# (without the "In file included from" stack), and matching the source's line "// expected: <regular expression>".
# A line "// flags: ..." in the source adds flags.
# The longest today has 16 lines (clang 14, tensor_of_int); a message from the inside of templates has hundreds.
set(longest 20)

file(STRINGS ${SOURCE} expected REGEX "^// expected: ")
string(REPLACE "// expected: " "" expected "${expected}")
set(ENV{LC_ALL} C)  # messages in English and in ASCII
separate_arguments(COMPILER)
file(STRINGS ${SOURCE} flags REGEX "^// flags: ")
string(REPLACE "// flags: " "" flags "${flags}")
separate_arguments(flags)
execute_process(COMMAND ${COMPILER} -std=c++20 ${flags} -fsyntax-only -I${INCLUDE} ${SOURCE}
                RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE message)
if(result EQUAL 0)
    message(FATAL_ERROR "${SOURCE} compiles, and must not")
endif()
string(REPLACE ";" "," lines "${message}")
string(REGEX REPLACE "\n$" "" lines "${lines}")
string(REPLACE "[" "(" lines "${lines}")  # CMake would not split a list inside brackets
string(REPLACE "]" ")" lines "${lines}")
string(REPLACE "\n" ";" lines "${lines}")
list(FILTER lines EXCLUDE REGEX "^(In file included from |                 from )")
list(LENGTH lines length)
set(errors ${lines})
list(FILTER errors INCLUDE REGEX "error: ")
list(LENGTH errors count)

message("${message}\n${length} lines, ${count} error(s)")
if(NOT message MATCHES "${expected}")
    message(FATAL_ERROR "the message does not match: ${expected}")
endif()
if(NOT count EQUAL 1 OR length GREATER longest)
    message(FATAL_ERROR "the message is too long: at most one error and ${longest} lines")
endif()
