// Shared by the tests of zyntax_address.
#pragma once

#include "support.h"

#include <cstring>
#include <initializer_list>
#include <random>
#include <string>

inline bool operator==(const zyntax_address &a, const zyntax_address &b) { return std::memcmp(&a, &b, sizeof a) == 0; }

namespace support {

inline zyntax_address parsed(const char *text) {
    zyntax_address address = {};
    CAPTURE(text);
    CHECK(zyntax_address_parse(text, &address) == 0);
    return address;
}

inline std::string text_of(const zyntax_address &address) {
    char text[64];
    int32_t length = zyntax_address_format(&address, text, sizeof text);
    REQUIRE(length > 0);
    CHECK(size_t(length) == std::strlen(text));
    return text;
}

// An address as a person would write the struct.
inline zyntax_address v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port = 0) {
    return {4, port, 0, {a, b, c, d}};
}
inline zyntax_address v6(std::initializer_list<uint16_t> groups, uint16_t port = 0, uint32_t scope = 0) {
    zyntax_address address = {6, port, scope, {}};
    REQUIRE(groups.size() == 8);
    uint8_t *byte = address.ip;
    for (uint16_t group : groups) {
        *byte++ = uint8_t(group >> 8);
        *byte++ = uint8_t(group);
    }
    return address;
}

// Zeros are frequent, as they decide about the form of the text.
struct RandomAddresses {
    std::mt19937 engine{20250101};
    uint32_t below(uint32_t limit) { return uint32_t(engine()) % limit; }
    zyntax_address address() {
        zyntax_address address = {};
        address.family = below(3) ? 6 : 4;
        address.port = uint16_t(below(3) ? engine() : 0);
        if (address.family == 6 && below(4) == 0) address.scope = uint32_t(engine());
        int bytes = address.family == 6 ? 16 : 4;
        uint32_t zeros = below(10);
        for (int i = 0; i < bytes; i += 2) {
            if (below(10) < zeros) continue;
            address.ip[i] = uint8_t(below(3) ? engine() : 0);
            address.ip[i + 1] = uint8_t(engine());
        }
        if (address.family == 6 && below(8) == 0) { // IPv4-mapped
            std::memset(address.ip, 0, 10);
            address.ip[10] = address.ip[11] = 0xff;
        }
        return address;
    }
};

} // namespace support
