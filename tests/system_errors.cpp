// Every error has Linux's number, a name and a text.
#include "support.h"

#include <set>

namespace {

struct Error {
    const char *name;
    int32_t code;
    const char *text;
};

constexpr Error errors[] = {
#define X(name, code, text) {#name, code, text},
    ZYNTAX_ERRORS(X)
#undef X
};

} // namespace

TEST_CASE("every_code_has_its_name_and_text") {
    for (const Error &error : errors) {
        CAPTURE(error.name);
        CHECK(std::string(zyntax_error_name(error.code)) == error.name);
        CHECK(std::string(zyntax_strerror(error.code)) == error.text);
    }
}

TEST_CASE("codes_and_names_are_different_and_texts_are_one_line") {
    std::set<int32_t> codes;
    std::set<std::string> names, texts;
    for (const Error &error : errors) {
        CHECK(error.code < 0);
        codes.insert(error.code);
        names.insert(error.name);
        texts.insert(error.text);
        CHECK(std::string(error.text).find('\n') == std::string::npos);
    }
    CHECK(codes.size() == std::size(errors));
    CHECK(names.size() == std::size(errors));
    CHECK(texts.size() == std::size(errors));
}

TEST_CASE("zero_and_more_are_ok") {
    for (int64_t code : {int64_t(0), int64_t(1), int64_t(125), INT64_MAX}) {
        CHECK(std::string(zyntax_error_name(code)) == "OK");
        CHECK(zyntax_strerror(code) != nullptr);
        CHECK(zyntax_strerror(code)[0] != 0);
    }
}

TEST_CASE("a_code_that_is_not_in_the_list_has_a_name_and_a_text_all_the_same") {
    for (int64_t code : {int64_t(-6), int64_t(-4095), int64_t(-4096), int64_t(INT32_MIN), INT64_MIN,
                         int64_t(ZYNTAX_EPERM) - (int64_t(1) << 32)}) {
        CAPTURE(code);
        CHECK(std::string(zyntax_error_name(code)) == "E?");
        REQUIRE(zyntax_strerror(code) != nullptr);
        CHECK(zyntax_strerror(code)[0] != 0);
    }
}

TEST_CASE("the_numbers_are_those_of_linux_on_every_system") {
    CHECK(ZYNTAX_EAGAIN == -11);
    CHECK(ZYNTAX_EDEADLK == -35);
    CHECK(ZYNTAX_ENOSYS == -38);
    CHECK(ZYNTAX_EMSGSIZE == -90);
    CHECK(ZYNTAX_EADDRINUSE == -98);
    CHECK(ZYNTAX_ECONNRESET == -104);
    CHECK(ZYNTAX_ETIMEDOUT == -110);
    CHECK(ZYNTAX_ECONNREFUSED == -111);
    CHECK(ZYNTAX_ESTALE == -116);
    CHECK(ZYNTAX_ECANCELED == -125);
}
