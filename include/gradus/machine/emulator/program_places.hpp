// machine/emulator/program_places.hpp   Where in the source an access stands, as a number of 32 bits.
// Most accesses are known by the address of the instruction that makes them: its offset from the program's start. Its
// line comes from the debugging information, through addr2line, and only when a message needs it. Where that
// instruction was inlined from the emulator or from the standard library, the line meant is the kernel's: the first
// that lies outside.
// Accesses that the emulator makes for a kernel (atomics, wmma, cp.async) come with their Site; those have the top bit.
#pragma once

#include <cstdio>
#include <map>

#include <link.h>
#include <unistd.h>

#include "gradus/machine/emulator/site.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

class ProgramPlaces {
public:
    ProgramPlaces() {
        dl_iterate_phdr(  // the first object is the program itself
            [](dl_phdr_info* info, std::size_t, void* base) {
                *static_cast<std::uintptr_t*>(base) = info->dlpi_addr;
                return 1;
            },
            &base_);
    }

    std::uint32_t of_instruction(const void* return_address) const {
        return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(return_address) - base_) & ~site_bit;
    }
    std::uint32_t of_site(Site site) {
        const auto known = numbers_.insert({{site.file, site.line}, static_cast<std::uint32_t>(sites_.size())});
        if (known.second) sites_.push_back(site);
        return known.first->second | site_bit;
    }

    // "reduce.cuh:42"
    std::string describe(std::uint32_t place) {
        if ((place & site_bit) != 0) return text(sites_[place & ~site_bit]);
        const auto known = lines_.find(place);
        if (known != lines_.end()) return known->second;
        return lines_[place] = ask_addr2line(place);
    }

private:
    static constexpr std::uint32_t site_bit = 0x80000000u;

    static std::string ask_addr2line(std::uint32_t place) {
        char command[160];
        std::snprintf(command, sizeof command, "addr2line -i -e /proc/%d/exe 0x%x 2> /dev/null",
                      static_cast<int>(getpid()), place - 1);  // the call, not where it returns to
        std::string line = "an unknown line";
        std::FILE* const answer = popen(command, "r");
        if (answer == nullptr) return line;
        for (char buffer[512]; std::fgets(buffer, sizeof buffer, answer) != nullptr;) {  // from the inside out
            line = buffer;
            if (line.find("machine/emulator/") == line.npos && line.find("/c++/") == line.npos) break;
            if (line.find("_test.cpp") != line.npos) break;  // the emulator's own tests lie in such a folder
        }
        pclose(answer);
        line = line.substr(0, line.find_first_of(" \n"));
        return line.substr(line.rfind('/') + 1);
    }

    std::uintptr_t base_ = 0;
    std::map<std::pair<const char*, unsigned>, std::uint32_t> numbers_;
    std::vector<Site> sites_;
    std::map<std::uint32_t, std::string> lines_;
};

}  // namespace gradus::inline GRADUS_ABI::emulator
