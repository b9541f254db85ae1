// Addresses as text: the input of zyntax_address_parse, and the output of zyntax_address_format.
#include "address_support.h"

using namespace support;

namespace {

struct AddressExample {
    const char *text;
    zyntax_address address;
};

} // namespace

TEST_CASE("text_is_read_and_written_as_the_same_address") {
    const AddressExample pairs[] = {
        {"1.2.3.4", v4(1, 2, 3, 4)},
        {"1.2.3.4:80", v4(1, 2, 3, 4, 80)},
        {"0.0.0.0", v4(0, 0, 0, 0)},
        {"255.255.255.255:65535", v4(255, 255, 255, 255, 65535)},
        {"::", v6({0, 0, 0, 0, 0, 0, 0, 0})},
        {"::1", v6({0, 0, 0, 0, 0, 0, 0, 1})},
        {"[::1]:80", v6({0, 0, 0, 0, 0, 0, 0, 1}, 80)},
        {"1::", v6({1, 0, 0, 0, 0, 0, 0, 0})},
        {"2001:db8::ff00:42:8329", v6({0x2001, 0xdb8, 0, 0, 0, 0xff00, 0x42, 0x8329})},
        {"1:0:3:0:5:0:7:0", v6({1, 0, 3, 0, 5, 0, 7, 0})},
        {"1::4:0:0:7:8", v6({1, 0, 0, 4, 0, 0, 7, 8})},
        {"1:0:0:4::8", v6({1, 0, 0, 4, 0, 0, 0, 8})},
        {"::3:4:5:6:7:8", v6({0, 0, 3, 4, 5, 6, 7, 8})},
        {"1:2:3:4:5:6::", v6({1, 2, 3, 4, 5, 6, 0, 0})},
        {"::ffff:1.2.3.4", v6({0, 0, 0, 0, 0, 0xffff, 0x102, 0x304})},
        {"[::ffff:1.2.3.4]:80", v6({0, 0, 0, 0, 0, 0xffff, 0x102, 0x304}, 80)},
        {"::1.2.3.4", v6({0, 0, 0, 0, 0, 0, 0x102, 0x304})},
        {"64:ff9b::102:304", v6({0x64, 0xff9b, 0, 0, 0, 0, 0x102, 0x304})},
        {"fe80::1%2", v6({0xfe80, 0, 0, 0, 0, 0, 0, 1}, 0, 2)},
        {"[fe80::1%4294967295]:1", v6({0xfe80, 0, 0, 0, 0, 0, 0, 1}, 1, UINT32_MAX)},
        {"[fedc:ba98:7654:3210:fedc:ba98:7654:3210%4294967295]:65535",
         v6({0xfedc, 0xba98, 0x7654, 0x3210, 0xfedc, 0xba98, 0x7654, 0x3210}, 65535, UINT32_MAX)},
    };
    for (const AddressExample &pair : pairs) {
        CAPTURE(pair.text);
        CHECK(parsed(pair.text) == pair.address);
        CHECK(text_of(pair.address) == pair.text);
    }
}

TEST_CASE("other_spellings_of_an_address_are_read_too") {
    const AddressExample pairs[] = {
        {"1.2.3.4:0", v4(1, 2, 3, 4)},
        {"[::1]", v6({0, 0, 0, 0, 0, 0, 0, 1})},
        {"[::1]:0", v6({0, 0, 0, 0, 0, 0, 0, 1})},
        {"0:0:0:0:0:0:0:1", v6({0, 0, 0, 0, 0, 0, 0, 1})},
        {"0001:0ABC::F", v6({1, 0xabc, 0, 0, 0, 0, 0, 0xf})},
        {"::FFFF:0102:304", v6({0, 0, 0, 0, 0, 0xffff, 0x102, 0x304})},
        {"1:2:3:4:5:6:7::", v6({1, 2, 3, 4, 5, 6, 7, 0})},
        {"::2:3:4:5:6:7:8", v6({0, 2, 3, 4, 5, 6, 7, 8})},
        {"1:2:3:4:5:6:1.2.3.4", v6({1, 2, 3, 4, 5, 6, 0x102, 0x304})},
        {"64:ff9b::1.2.3.4", v6({0x64, 0xff9b, 0, 0, 0, 0, 0x102, 0x304})},
        {"1:2:3:4:5::1.2.3.4", v6({1, 2, 3, 4, 5, 0, 0x102, 0x304})},
        {"::1:80", v6({0, 0, 0, 0, 0, 0, 1, 0x80})},
        {"fe80::1%0", v6({0xfe80, 0, 0, 0, 0, 0, 0, 1})},
        {"[fe80::1%3]", v6({0xfe80, 0, 0, 0, 0, 0, 0, 1}, 0, 3)},
    };
    for (const AddressExample &pair : pairs) {
        CAPTURE(pair.text);
        CHECK(parsed(pair.text) == pair.address);
    }
}

TEST_CASE("malformed_text_is_einval_and_changes_nothing") {
    const char *const texts[] = {
        "",
        " ",
        "1",
        "1.2",
        "1.2.3",
        "1.2.3.",
        "1.2.3.4.",
        ".1.2.3.4",
        "1..2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1.2.3.4 ",
        " 1.2.3.4",
        "01.2.3.4",
        "1.2.3.00",
        "0x1.2.3.4",
        "1.2.3.a",
        "1.2.3.-4",
        "1.2.3.+4",
        "1.2.3.4294967297",
        "1.2.3.18446744073709551617",
        "1.2.3.4:",
        "1.2.3.4:65536",
        "1.2.3.4:080",
        "1.2.3.4:00",
        "1.2.3.4:+80",
        "1.2.3.4:-1",
        "1.2.3.4:80 ",
        "1.2.3.4: 80",
        "1.2.3.4:8o",
        "1.2.3.4:80:80",
        "1.2.3.4:4294967376",
        "1.2.3.4%1",
        "1.2.3.4/8",
        "[1.2.3.4]",
        "[1.2.3.4]:80",
        ":",
        ":::",
        "::::",
        ":1",
        "1:",
        "1:2",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:",
        ":2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8:",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "1:2:3:4::5:6:7:8",
        "1::2::3",
        ":::1",
        "1:::2",
        "1::2:",
        ":1::2",
        "12345::",
        "::12345",
        "::g",
        "::-1",
        "::+1",
        "::0x1",
        ":: 1",
        " ::1",
        "::1 ",
        "::1.2.3",
        "::1.2.3.4.5",
        "::1.2.3.256",
        "::01.2.3.4",
        "::1.2.3.4:5",
        "1.2.3.4::",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1:2:3:4:5:6::1.2.3.4",
        "1:2:3:4:5:1.2.3.4",
        "::1%",
        "::1%no such interface",
        "::1%4294967296",
        "::1%1%1",
        "::1%99999999999999999999",
        "%1",
        "[]",
        "[",
        "]",
        "[::1",
        "::1]",
        "[[::1]]",
        "[::1]]",
        "[::1]80",
        "[::1] ",
        "[::1]:",
        "[::1]:65536",
        "[::1]:080",
        "[::1]:-1",
        "[::1]: 1",
        "[::1]:80:80",
        "[::1%]",
        "[::1%]:80",
        "[ ::1]",
        "[::1]x:80",
        "[]:80",
        "localhost",
        "localhost:80",
        "*:80",
        ":80",
        "1.2.3.4\n",
        "::1\n",
        "fe80::1%a-name-that-is-far-too-long-for-an-interface-and-for-every-buffer-there-may-be",
    };
    zyntax_address before;
    std::memset(&before, 0xa5, sizeof before);
    for (const char *text : texts) {
        CAPTURE(text);
        zyntax_address address = before;
        CHECK(zyntax_address_parse(text, &address) == ZYNTAX_EINVAL);
        CHECK(address == before);
    }
    CHECK(zyntax_address_parse(nullptr, &before) == ZYNTAX_EINVAL);
    CHECK(zyntax_address_parse("::1", nullptr) == ZYNTAX_EINVAL);
}

TEST_CASE("a_character_more_or_another_one_is_never_an_address_that_differs_from_its_text") {
    RandomAddresses random;
    const char characters[] = "0123456789abcdefABCDEF:.[]%x -/";
    for (int i = 0; i < 20'000; i++) {
        std::string text = text_of(random.address());
        char c = characters[random.below(sizeof characters - 1)];
        size_t at = random.below(uint32_t(text.size()));
        if (random.below(2)) text[at] = c;
        else text.insert(at, 1, c);
        CAPTURE(text);
        zyntax_address address, again;
        if (zyntax_address_parse(text.c_str(), &address) != 0) continue;
        CHECK(zyntax_address_parse(text_of(address).c_str(), &again) == 0);
        CHECK(address == again);
    }
}

TEST_CASE("format_tells_the_length_and_cuts_off_as_snprintf_does") {
    zyntax_address address = v6({0xfe80, 0, 0, 0, 0, 0, 0, 1}, 80, 12);
    const std::string whole = "[fe80::1%12]:80";
    CHECK(zyntax_address_format(&address, nullptr, 0) == int32_t(whole.size()));
    for (size_t len = 0; len <= whole.size() + 2; len++) {
        CAPTURE(len);
        char text[32];
        std::memset(text, '#', sizeof text);
        CHECK(zyntax_address_format(&address, text, len) == int32_t(whole.size()));
        if (len) CHECK(text == whole.substr(0, len - 1));
        for (size_t i = len; i < sizeof text; i++) CHECK(text[i] == '#');
    }
}

TEST_CASE("a_struct_that_is_no_address_cannot_be_formatted") {
    char text[64] = "unchanged";
    CHECK(zyntax_address_format(nullptr, text, sizeof text) == ZYNTAX_EINVAL);
    for (uint16_t family : {0, 1, 2, 5, 7, 10, 23, 46, 65535}) {
        zyntax_address address = {family, 80, 0, {1, 2, 3, 4}};
        CHECK(zyntax_address_format(&address, text, sizeof text) == ZYNTAX_EINVAL);
    }
    zyntax_address address = v4(1, 2, 3, 4);
    CHECK(zyntax_address_format(&address, nullptr, 1) == ZYNTAX_EINVAL);
    CHECK(std::string(text) == "unchanged");
}

TEST_CASE("errno_survives_an_unknown_interface") {
    zyntax_address address;
    errno = 4711;
    CHECK(zyntax_address_parse("fe80::1%nowhere", &address) == ZYNTAX_EINVAL);
    CHECK(errno == 4711);
}

TEST_CASE("ten_thousand_random_addresses_survive_as_text") {
    RandomAddresses random;
    size_t longest = 0;
    for (int i = 0; i < 10'000; i++) {
        zyntax_address address = random.address();
        std::string text = text_of(address);
        CAPTURE(text);
        CHECK(parsed(text.c_str()) == address);
        longest = std::max(longest, text.size());
    }
    CHECK(longest <= 58);
}
