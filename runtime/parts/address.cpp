// Addresses from text. Nothing here asks the system, except for the number of an interface.
#include "../../platform/addresses.h"

#include <string.h>

using namespace zyntax;

static_assert(sizeof(zyntax_address) == 24 && offsetof(zyntax_address, ip) == 8);

namespace {

// The part of a text that is not read yet. A function that returns false may have read some of it.
struct AddressText {
    const char *at, *end;

    bool is_at_end() const { return at == end; }
    bool take(char c) {
        bool is_there = at != end && *at == c;
        at += is_there;
        return is_there;
    }
    int digit(int base) const { // -1: no digit
        if (at == end) return -1;
        char lower = static_cast<char>(*at | 0x20);
        int value = *at >= '0' && *at <= '9' ? *at - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : base;
        return value < base ? value : -1;
    }
};

// A decimal number without leading zeros.
bool take_number(AddressText *text, uint32_t most, uint32_t *out) {
    const char *begin = text->at;
    uint64_t value = 0;
    for (int digit; (digit = text->digit(10)) >= 0; text->at++) {
        value = value * 10 + static_cast<uint64_t>(digit);
        if (value > most || (text->at != begin && *begin == '0')) return false;
    }
    *out = static_cast<uint32_t>(value);
    return text->at != begin;
}

bool take_v4(AddressText *text, uint8_t *ip) {
    AddressText rest = *text;
    uint8_t bytes[4];
    for (uint8_t &byte : bytes) {
        uint32_t value;
        if ((&byte != bytes && !rest.take('.')) || !take_number(&rest, 255, &value)) return false;
        byte = static_cast<uint8_t>(value);
    }
    memcpy(ip, bytes, sizeof bytes);
    *text = rest;
    return true;
}

// One to four hexadecimal digits.
bool take_group(AddressText *text, uint8_t *bytes) {
    uint32_t value = 0;
    const char *begin = text->at;
    for (int digit; text->at - begin < 4 && (digit = text->digit(16)) >= 0; text->at++)
        value = value << 4 | static_cast<uint32_t>(digit);
    bytes[0] = static_cast<uint8_t>(value >> 8);
    bytes[1] = static_cast<uint8_t>(value);
    return text->at != begin;
}

bool take_colons(AddressText *text) {
    AddressText rest = *text;
    if (!rest.take(':') || !rest.take(':')) return false;
    *text = rest;
    return true;
}

bool take_v6(AddressText *text, uint8_t (&ip)[16]) {
    constexpr size_t none = 17;
    size_t n = 0;                                      // bytes before and behind the gap
    size_t gap = take_colons(text) ? size_t{0} : none; // the place of "::"
    bool needs_group = gap == none;
    while (n < 16) {
        if (n <= 12 && take_v4(text, ip + n)) {
            n += 4;
            needs_group = false;
            break;
        }
        if (!take_group(text, ip + n)) break;
        n += 2;
        needs_group = false;
        if (gap == none && take_colons(text)) gap = n;
        else if (n == 16 || !(needs_group = text->take(':'))) break;
    }
    if (needs_group) return false;
    if (gap == none) return n == 16;
    if (n > 14) return false; // "::" is at least one group
    memmove(ip + 16 - (n - gap), ip + gap, n - gap);
    memset(ip + gap, 0, 16 - n);
    return true;
}

// Nothing, or '%' and the number or name of an interface. The text ends there.
bool take_scope(AddressText *text, uint32_t *scope) {
    if (!text->take('%')) return text->is_at_end();
    AddressText number = *text;
    if (take_number(&number, UINT32_MAX, scope) && number.is_at_end()) return true;
    char name[64];
    auto length = static_cast<size_t>(text->end - text->at);
    if (!length || length >= sizeof name) return false;
    memcpy(name, text->at, length);
    name[length] = 0;
    *scope = os::interface_index(name);
    return *scope != 0;
}

// Nothing, or ':' and a port. The text ends there.
bool take_port(AddressText *text, uint16_t *port) {
    uint32_t number = 0;
    if (text->take(':') && !take_number(text, UINT16_MAX, &number)) return false;
    *port = static_cast<uint16_t>(number);
    return text->is_at_end();
}

} // namespace

int32_t zyntax_address_parse(const char *text, zyntax_address *out) noexcept {
    if (!text || !out) return ZYNTAX_EINVAL;
    os::KeepErrors keep;
    zyntax_address address = {};
    AddressText rest = {text, text + strlen(text)};
    address.family = take_v4(&rest, address.ip) ? 4 : 6;
    if (address.family == 6) {
        AddressText inside = rest;
        bool has_brackets = inside.take('[');
        if (has_brackets) {
            inside.end = strrchr(inside.at, ']');
            if (!inside.end) return ZYNTAX_EINVAL;
        }
        rest.at = inside.end + has_brackets;
        if (!take_v6(&inside, address.ip) || !take_scope(&inside, &address.scope)) return ZYNTAX_EINVAL;
    }
    if (!take_port(&rest, &address.port)) return ZYNTAX_EINVAL;
    *out = address;
    return 0;
}
