// machine/emulator/symbols.hpp   The name of the function at an address, for messages: "scale_kernel<float>".
// Problem  launch(kernel, ...) gets a pointer. The name is in the program's symbol table, if it was not stripped.
// Answer   Ask the dynamic linker (dladdr), which knows the exported functions; else, on Linux, read the symbol table
//          .symtab of the running program (System V ABI, chapter 4, "Symbol Table"). Only messages need it, so it may
//          be slow.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>

#include <cxxabi.h>
#include <dlfcn.h>
#if defined(__linux__)
#include <elf.h>
#include <link.h>
#endif

#include "gradus/core/check.hpp"
#include "gradus/machine/emulator/keywords.hpp"

namespace gradus::inline GRADUS_ABI::emulator {

#define GRADUS_QUOTE_NAME(name) #name
#define GRADUS_QUOTE(name) GRADUS_QUOTE_NAME(name)

#if defined(__linux__)
// The mangled name from the program's own file; "" where there is none.
inline std::string name_in_program(std::uintptr_t address) {
    std::uintptr_t base = 0;  // where the program was loaded: the first object of the list is the program
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* found) {
            *static_cast<std::uintptr_t*>(found) = info->dlpi_addr;
            return 1;
        },
        &base);
    std::ifstream file("/proc/self/exe", std::ios::binary);
    Elf64_Ehdr header{};
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    if (!file || header.e_shentsize != sizeof(Elf64_Shdr)) return "";
    std::vector<Elf64_Shdr> sections(header.e_shnum);
    file.seekg(static_cast<std::streamoff>(header.e_shoff));
    file.read(reinterpret_cast<char*>(sections.data()),
              static_cast<std::streamsize>(sections.size() * sizeof(Elf64_Shdr)));
    for (const Elf64_Shdr& section : sections) {
        if (!file || section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
        std::vector<Elf64_Sym> symbols(section.sh_size / sizeof(Elf64_Sym));
        file.seekg(static_cast<std::streamoff>(section.sh_offset));
        file.read(reinterpret_cast<char*>(symbols.data()),
                  static_cast<std::streamsize>(symbols.size() * sizeof(Elf64_Sym)));
        for (const Elf64_Sym& symbol : symbols) {
            const bool is_function = ELF64_ST_TYPE(symbol.st_info) == STT_FUNC;
            const std::uintptr_t begin = base + symbol.st_value;
            if (!is_function || address < begin || address >= begin + symbol.st_size) continue;
            std::string name;
            file.seekg(static_cast<std::streamoff>(sections[section.sh_link].sh_offset + symbol.st_name));
            std::getline(file, name, '\0');
            return name;
        }
    }
    return "";
}
#endif

// "void gradus::avx2_throws_threads_emulated::scale<float>(float*, int)" becomes "gradus::scale<float>".
inline std::string short_name(const std::string& mangled) {
    int status = 0;
    char* demangled = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
    std::string name = demangled ? demangled : mangled;
    std::free(demangled);
    for (const std::string_view part : {GRADUS_QUOTE(GRADUS_ABI) "::", "(anonymous namespace)::"})
        for (std::size_t at; (at = name.find(part)) != name.npos;) name.erase(at, part.size());
    int depth = 0;  // of <...>: the parameters begin at the first '(' outside of them, the return type ends at a space
    std::size_t begin = 0;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] == '<') ++depth;
        if (name[i] == '>') --depth;
        if (depth == 0 && name[i] == ' ') begin = i + 1;
        if (depth == 0 && name[i] == '(') return name.substr(begin, i - begin);
    }
    return name.substr(begin);
}

inline std::string kernel_name(const void* function) {
    Dl_info info{};
    if (dladdr(function, &info) != 0 && info.dli_sname != nullptr && info.dli_saddr == function)
        return short_name(info.dli_sname);
#if defined(__linux__)
    const std::string name = name_in_program(reinterpret_cast<std::uintptr_t>(function));
    if (!name.empty()) return short_name(name);
#endif
    char address[32];
    std::snprintf(address, sizeof address, "%p", function);
    return text("kernel at ", static_cast<const char*>(address));
}

}  // namespace gradus::inline GRADUS_ABI::emulator
