// The runtime installs no signal handler and changes no signal mask.
#include "blocking_support.h"

using namespace support;

TEST_CASE("handlers_and_masks_are_the_same_before_during_and_after") {
    auto before = dispositions();
    {
        Runtime rt;
        CHECK(dispositions() == before);
        CHECK(await(rt, sleeping(rt, ms)) == 0);
        for (auto make : pairs_from_runtime()) {
            Pair good = make(), broken = make();
            CHECK(await(rt, writing(adopt(rt, good.near), "x", 1)) == 1);
            zyntax_io *io = adopt(rt, broken.near);
            broken.far.reset();
            for (int tries = 0; tries < 100 && await(rt, writing(io, "x", 1)) > 0;) tries++;
        }
        CHECK(await(rt, blocking(
                            rt, [](void *) { return int64_t(1); }, nullptr, 0)) == 1);
        CHECK(dispositions() == before);
        CHECK(rt.idle_waits() <= idle_budget);
    }
    CHECK(dispositions() == before);
}
