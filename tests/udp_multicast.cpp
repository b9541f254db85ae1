// zyntax_udp_member: groups on a chosen interface.
#include "udp_support.h"

using namespace support;

namespace {

// Sends to a group through the loopback: the system takes the interface of the sender's own address. False where there
// is no route for groups.
bool reaches_group(Runtime &rt, zyntax_io *receiver, const zyntax_address &group) {
    zyntax_io *sender = open_udp(rt, group.family);
    zyntax_address to = group;
    to.port = udp_port(receiver);
    if (group.family == 6) to.scope = loopback_index();
    int64_t sent = await(rt, sending(sender, "all of you", 10, &to));
    CHECK(zyntax_io_close(sender) == 0);
    CHECK((sent == 10 || sent == ZYNTAX_ENETUNREACH || sent == ZYNTAX_EHOSTUNREACH || sent == ZYNTAX_EADDRNOTAVAIL));
    return sent == 10;
}

} // namespace

TEST_CASE("a_member_hears_its_group_on_the_interface_that_it_chose_until_it_leaves") {
    SKIP_WHEN(on_windows, "Wine knows the interfaces by other numbers than Linux");
    SKIP_WHEN(loopback_name() == nullptr, "the name of the loopback device is unknown");
    zyntax_address any = v4(0, 0, 0, 0), any6 = v6({0, 0, 0, 0, 0, 0, 0, 0});
    struct {
        const zyntax_address *local;
        zyntax_address group;
    } cases[] = {{&any, v4(239, 255, 77, 1)},
                 {nullptr, v4(239, 255, 77, 2)},
                 {&any6, parsed("ff02::7:701")},
                 {nullptr, parsed("ff02::7:702")}};
    for (const auto &c : cases) {
        if (c.group.family == 6 && !has_ipv6()) continue;
        CAPTURE(text_of(c.group));
        Runtime rt;
        uint32_t index = loopback_index();
        zyntax_io *io = open_udp(rt, c.local);
        int32_t joined = zyntax_udp_member(io, &c.group, index, 1);
        if (c.local == nullptr && c.group.family == 4 && joined != 0) continue; // not every system has that
        REQUIRE(joined == 0);
        if (reaches_group(rt, io, c.group)) CHECK(receive_from(rt, io) == "all of you");
        CHECK(zyntax_udp_member(io, &c.group, index, 1) == ZYNTAX_EADDRINUSE);
        CHECK(zyntax_udp_member(io, &c.group, index, 0) == 0);
        CHECK(zyntax_udp_member(io, &c.group, index, 0) == ZYNTAX_EADDRNOTAVAIL);
        if (reaches_group(rt, io, c.group)) CHECK(hears_nothing(rt, io));
        CHECK(zyntax_udp_member(io, &c.group, index, 1) == 0); // and back
        CHECK(rt.idle_waits() <= idle_budget);
    }
}

TEST_CASE("the_scope_of_a_group_chooses_the_interface_too") {
    SKIP_WHEN(on_windows || loopback_name() == nullptr, "the name of the loopback device is unknown");
    if (!has_ipv6()) return;
    Runtime rt;
    zyntax_io *io = open_udp(rt, nullptr);
    zyntax_address group = parsed("ff02::7:703");
    group.scope = loopback_index();
    REQUIRE(zyntax_udp_member(io, &group, 0, 1) == 0);
    CHECK(zyntax_udp_member(io, &group, loopback_index(), 1) == ZYNTAX_EADDRINUSE); // the same
    group.scope = 12345;
    CHECK(zyntax_udp_member(io, &group, loopback_index(), 0) == 0); // the argument is stronger
}

TEST_CASE("an_address_that_is_no_group_and_an_unknown_interface_are_einval") {
    Runtime rt;
    zyntax_io *io = open_udp(rt), *closed = open_udp(rt);
    REQUIRE(zyntax_io_close(closed) == 0);
    zyntax_address group = v4(239, 255, 77, 4), bad = group;
    CHECK(zyntax_udp_member(io, nullptr, 0, 1) == ZYNTAX_EINVAL);
    for (int32_t join : {2, -1, INT32_MIN, INT32_MAX}) CHECK(zyntax_udp_member(io, &group, 0, join) == ZYNTAX_EINVAL);
    for (uint16_t family : {uint16_t(0), uint16_t(2), uint16_t(5), uint16_t(65535)}) {
        bad.family = family;
        CHECK(zyntax_udp_member(io, &bad, 0, 1) == ZYNTAX_EINVAL);
    }
    for (const zyntax_address &address : {v4(127, 0, 0, 1), v4(0, 0, 0, 0), v4(255, 255, 255, 255)}) {
        int32_t error = zyntax_udp_member(io, &address, 0, 1);
        CHECK(error < 0);
        if (!on_windows) CHECK(error == ZYNTAX_EINVAL);
    }
    for (uint32_t index : {uint32_t(54321), uint32_t(0xffffff), uint32_t(0x1000000), UINT32_MAX}) {
        int32_t error = zyntax_udp_member(io, &group, index, 1);
        CHECK(error < 0);
        if (!on_windows) CHECK(error == ZYNTAX_EINVAL);
    }
    CHECK(zyntax_udp_member(closed, &group, 0, 1) == ZYNTAX_ESTALE);
    CHECK(zyntax_udp_member(nullptr, &group, 0, 1) == ZYNTAX_ESTALE);
    group = parsed("ff02::7:704");
    CHECK(zyntax_udp_member(io, &group, 0, 1) == ZYNTAX_EAFNOSUPPORT);
    if (!has_ipv6()) return;
    zyntax_io *six = open_udp(rt, 6);
    CHECK(zyntax_udp_member(six, &bad, 54321, 1) == ZYNTAX_EINVAL);
    bad = v4(239, 255, 77, 4);
    CHECK(zyntax_udp_member(six, &bad, 0, 1) == ZYNTAX_EAFNOSUPPORT);
    CHECK(zyntax_udp_member(six, &group, 54321, 1) < 0);
    if (!on_windows) CHECK(zyntax_udp_member(six, &group, 54321, 1) == ZYNTAX_EINVAL);
}
