// Addresses to text.
#include "../runtime.h"

#include <string.h>

using namespace zyntax;

namespace {

struct AddressWriter {
    char text[64]; // the longest address has 58 characters
    size_t length = 0;

    void put(char c) { text[length++] = c; }
    void put(uint32_t value, uint32_t base) {
        char digits[10];
        int n = 0;
        do digits[n++] = "0123456789abcdef"[value % base];
        while (value /= base);
        while (n) put(digits[--n]);
    }
    void put_v4(const uint8_t *ip) {
        for (int i = 0; i < 4; i++) {
            if (i) put('.');
            put(ip[i], 10);
        }
    }
};

// As inet_ntop of most systems: "::" is the first longest run of two or more zero groups, and the last 32 bits of
// IPv4-mapped and IPv4-compatible addresses are written as IPv4.
void put_v6(AddressWriter *out, const uint8_t (&ip)[16]) {
    uint32_t groups[8];
    int gap = 8, zeros = 1; // the run of "::"
    for (int i = 0, run = 0; i < 8; i++) {
        groups[i] = static_cast<uint32_t>(ip[2 * i] << 8 | ip[2 * i + 1]);
        run = groups[i] ? 0 : run + 1;
        if (run <= zeros) continue;
        zeros = run;
        gap = i + 1 - run;
    }
    bool ends_as_v4 = gap == 0 && (zeros == 6 || (zeros == 5 && groups[5] == 0xffff));
    for (int i = 0; i < (ends_as_v4 ? 6 : 8); i++) {
        if (i == gap) {
            out->put(':');
            i += zeros - 1;
            if (i == 7) out->put(':');
            continue;
        }
        if (i) out->put(':');
        out->put(groups[i], 16);
    }
    if (!ends_as_v4) return;
    out->put(':');
    out->put_v4(ip + 12);
}

} // namespace

int32_t zyntax_address_format(const zyntax_address *address, char *buf, size_t len) noexcept {
    if (!address || (address->family != 4 && address->family != 6) || (!buf && len)) return ZYNTAX_EINVAL;
    AddressWriter out;
    bool is_v6 = address->family == 6, has_brackets = is_v6 && address->port;
    if (has_brackets) out.put('[');
    if (is_v6) put_v6(&out, address->ip);
    else out.put_v4(address->ip);
    if (is_v6 && address->scope) {
        out.put('%');
        out.put(address->scope, 10);
    }
    if (has_brackets) out.put(']');
    if (address->port) {
        out.put(':');
        out.put(address->port, 10);
    }
    if (len) {
        size_t n = out.length < len ? out.length : len - 1;
        memcpy(buf, out.text, n);
        buf[n] = 0;
    }
    return static_cast<int32_t>(out.length);
}
