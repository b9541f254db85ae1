// zyntax_address_parse and zyntax_address_format agree with the system's own functions.
#include "address_support.h"
#include "io_support.h"

using namespace support;

// Systems differ in the addresses that they end as IPv4, and in a single group of zeros: there only the meaning counts.
TEST_CASE("inet_pton_and_getnameinfo_agree_about_ten_thousand_random_addresses") {
    Runtime rt; // on Windows it starts Winsock
    RandomAddresses random;
    for (int i = 0; i < 10'000; i++) {
        zyntax_address address = random.address();
        address.port = 0;
        address.scope = 0;
        std::string text = text_of(address);
        CAPTURE(text);
        bool is_v4 = address.family == 4;
        uint8_t ip[16] = {};
        CHECK(inet_pton(is_v4 ? AF_INET : AF_INET6, text.c_str(), ip) == 1);
        CHECK(std::memcmp(ip, address.ip, sizeof ip) == 0);
        sockaddr_in in = {};
        sockaddr_in6 in6 = {};
        in.sin_family = AF_INET;
        in6.sin6_family = AF_INET6;
        std::memcpy(&in.sin_addr, ip, 4);
        std::memcpy(&in6.sin6_addr, ip, 16);
        auto *name = is_v4 ? reinterpret_cast<sockaddr *>(&in) : reinterpret_cast<sockaddr *>(&in6);
        socklen_t size = is_v4 ? sizeof in : sizeof in6;
        char theirs[128];
        REQUIRE(getnameinfo(name, size, theirs, sizeof theirs, nullptr, 0, NI_NUMERICHOST) == 0);
        CHECK(parsed(theirs) == address);
        if (has_glibc) CHECK(text == theirs);
    }
}

// And about texts that are not addresses.
TEST_CASE("inet_pton_refuses_what_parse_refuses_and_reads_what_it_reads") {
    Runtime rt;
    RandomAddresses random;
    const char characters[] = "0123456789abcdef::::..x";
    int valid = 0;
    for (int i = 0; i < 100'000; i++) {
        zyntax_address origin = random.address(), address = {};
        origin.port = 0;
        origin.scope = 0;
        std::string text = text_of(origin);
        for (uint32_t changes = 1 + random.below(2); changes > 0; changes--) {
            char c = characters[random.below(sizeof characters - 1)];
            size_t at = random.below(uint32_t(text.size()));
            if (random.below(2)) text[at] = c;
            else text.insert(at, 1, c);
        }
        if (origin.family == 4 && text.find(':') != std::string::npos) continue; // a port
        CAPTURE(text);
        uint8_t ip[16] = {};
        bool is_v4 = text.find(':') == std::string::npos;
        bool theirs = inet_pton(is_v4 ? AF_INET : AF_INET6, text.c_str(), ip) == 1;
        bool ours = zyntax_address_parse(text.c_str(), &address) == 0;
        if (has_glibc) CHECK(ours == theirs);
        if (!ours || !theirs) continue;
        valid++;
        CHECK(std::memcmp(ip, address.ip, sizeof ip) == 0);
    }
    CHECK(valid > 1000);
}

TEST_CASE("the_name_of_an_interface_is_its_number") {
    SKIP_WHEN(!loopback_name(), "a scope is a number here");
    zyntax_address expected = v6({0xfe80, 0, 0, 0, 0, 0, 0, 1}, 80, loopback_index());
    CHECK(parsed((std::string("[fe80::1%") + loopback_name() + "]:80").c_str()) == expected);
    expected.port = 0;
    CHECK(parsed((std::string("fe80::1%") + loopback_name()).c_str()) == expected);
}
