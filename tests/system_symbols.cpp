// The symbol table names every function of the header, in order, with its address.
#include "support.h"

#include <fstream>
#include <set>
#include <sstream>
#include <type_traits>

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

TEST_CASE("the_signatures_are_the_symbols_with_their_types") {
    size_t count = 0, count_with_types = 0;
    const zyntax_symbol *symbols = zyntax_runtime_symbols(&count);
    const zyntax_signature *signatures = zyntax_runtime_signatures(&count_with_types);
    REQUIRE(count == count_with_types);
    CHECK(signatures[count].name == nullptr);
    for (size_t i = 0; i < count; i++) {
        CAPTURE(symbols[i].name);
        CHECK(std::string(signatures[i].name) == symbols[i].name);
        CHECK(signatures[i].address == symbols[i].address);
        std::string types = signatures[i].types;
        CHECK((types.size() >= 1 && types.size() <= 9)); // at most eight parameters
        CHECK(types.find_first_not_of("vhiulqzp") == std::string::npos);
        CHECK(types.find('v', 1) == std::string::npos);
    }
}

namespace {

// The types of a function as its signature has them, as far as a compiler can tell: by kind and width.
template <class T> char letter() {
    if (std::is_void_v<T>) return 'v';
    if (std::is_pointer_v<T>) return 'p';
    if (std::is_enum_v<T>) return 'i';
    using Width = std::conditional_t<std::is_void_v<T>, int, T>;
    if (sizeof(Width) == 2) return 'h';
    if (sizeof(Width) == 4) return std::is_signed_v<T> ? 'i' : 'u';
    return std::is_signed_v<T> ? 'l' : 'q';
}
template <class R, class... P> std::string types_of(R (*)(P...) noexcept) { return {letter<R>(), letter<P>()...}; }

std::string types_in_table(const char *name) {
    for (const zyntax_signature *s = zyntax_runtime_signatures(nullptr); s->name != nullptr; s++) {
        if (std::strcmp(name, s->name) == 0) return s->types;
    }
    return "";
}

} // namespace

// The other functions are compared with the text of the header by tests/tidy.py.
TEST_CASE("the_types_are_those_that_the_compiler_sees") {
#define CHECK_TYPES(name) CHECK(types_in_table(#name) == types_of(&name))
    CHECK_TYPES(zyntax_sleep);
    CHECK_TYPES(zyntax_runtime_stop);
    CHECK_TYPES(zyntax_runtime_version);
    CHECK_TYPES(zyntax_error_name);
    CHECK_TYPES(zyntax_tcp_connect);
    CHECK_TYPES(zyntax_promise_block_on);
    CHECK_TYPES(zyntax_runtime_turn);
    CHECK_TYPES(zyntax_task_join);
#undef CHECK_TYPES
}

TEST_CASE("the_version_and_the_backend_are_told") {
    CHECK(zyntax_runtime_version() == ZYNTAX_ASYNC_RUNTIME_VERSION);
    std::set<std::string> known{"epoll", "kqueue", "iocp", "poll"};
    CHECK(known.count(zyntax_runtime_backend()) == 1);
}
