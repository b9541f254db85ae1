// The symbol table names every function of the header, in order, with its address.
#include "support.h"

#include <fstream>
#include <set>
#include <sstream>

namespace {

std::set<std::string> functions_of_the_header() {
    std::ifstream file(ZYNTAX_HEADER);
    REQUIRE(file.good());
    std::stringstream text;
    text << file.rdbuf();
    std::string source = text.str();
    const std::string mark = "\nZYNTAX_API ";
    std::set<std::string> names;
    for (size_t at = source.find(mark); at != std::string::npos; at = source.find(mark, at + 1)) {
        size_t end = source.find('(', at), begin = source.find_last_of(" *\n", end) + 1;
        names.insert(source.substr(begin, end - begin));
    }
    return names;
}

const void *address_of(const std::string &name) {
    for (const zyntax_symbol *symbol = zyntax_runtime_symbols(nullptr); symbol->name != nullptr; symbol++) {
        if (name == symbol->name) return symbol->address;
    }
    return nullptr;
}

} // namespace

TEST_CASE("the_table_is_sorted_counted_and_ended_by_null") {
    size_t count = 0;
    const zyntax_symbol *symbols = zyntax_runtime_symbols(&count);
    REQUIRE(symbols != nullptr);
    CHECK(symbols == zyntax_runtime_symbols(nullptr));
    CHECK(symbols[count].name == nullptr);
    for (size_t i = 0; i < count; i++) {
        CHECK(symbols[i].address != nullptr);
        if (i > 0) CHECK(std::strcmp(symbols[i - 1].name, symbols[i].name) < 0);
    }
}

TEST_CASE("the_table_has_every_function_of_the_header_and_no_other") {
    SKIP_WHEN(!sys::has_files, "a WASI program sees the files that it is given, here none");
    size_t count = 0;
    const zyntax_symbol *symbols = zyntax_runtime_symbols(&count);
    std::set<std::string> listed, declared = functions_of_the_header();
    for (size_t i = 0; i < count; i++) listed.insert(symbols[i].name);
    CHECK(declared.size() > 50);
    for (const std::string &name : declared) {
        CAPTURE(name);
        CHECK(listed.count(name) == 1);
    }
    for (const std::string &name : listed) {
        CAPTURE(name);
        CHECK(declared.count(name) == 1);
    }
}

TEST_CASE("the_addresses_are_those_that_the_linker_knows") {
    CHECK(address_of("zyntax_runtime_create") == reinterpret_cast<void *>(&zyntax_runtime_create));
    CHECK(address_of("zyntax_io_read") == reinterpret_cast<void *>(&zyntax_io_read));
    CHECK(address_of("zyntax_tcp_connect") == reinterpret_cast<void *>(&zyntax_tcp_connect));
    CHECK(address_of("zyntax_runtime_symbols") == reinterpret_cast<void *>(&zyntax_runtime_symbols));
}

TEST_CASE("a_function_found_in_the_table_can_be_called") {
    auto version = reinterpret_cast<uint32_t (*)()>(const_cast<void *>(address_of("zyntax_runtime_version")));
    REQUIRE((version != nullptr));
    CHECK(version() == ZYNTAX_ASYNC_RUNTIME_VERSION);
    auto name = reinterpret_cast<const char *(*)(int64_t)>(const_cast<void *>(address_of("zyntax_error_name")));
    REQUIRE((name != nullptr));
    CHECK(std::string(name(-110)) == "ETIMEDOUT");
}

TEST_CASE("the_version_and_the_backend_are_told") {
    CHECK(zyntax_runtime_version() == ZYNTAX_ASYNC_RUNTIME_VERSION);
    std::set<std::string> known{"epoll", "kqueue", "iocp", "poll"};
    CHECK(known.count(zyntax_runtime_backend()) == 1);
}
