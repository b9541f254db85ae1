// A poll function that returns neither POLL_READY nor POLL_PENDING: a debug build names the task, and aborts.
#include "support.h"

#include <cinttypes>

using namespace support;

namespace {

#ifdef NDEBUG
constexpr bool checked = false;
#else
constexpr bool checked = true;
#endif

template <int value> PollStatus answers(FutureState, Waker *) { return static_cast<PollStatus>(value); }

std::string in_hex(uintptr_t number) {
    char text[32];
    snprintf(text, sizeof text, "0x%" PRIxPTR, number);
    return text;
}

// Writes the handle and the function first, as the message has to name them.
template <int value> void run_one() {
    zyntax_runtime *rt = zyntax_runtime_create();
    zyntax_task *task = zyntax_runtime_spawn(rt, nullptr, answers<value>);
    std::string expected =
        in_hex(reinterpret_cast<uintptr_t>(task)) + " " + in_hex(reinterpret_cast<uintptr_t>(&answers<value>));
    fprintf(stderr, "%s\n", expected.c_str());
    fflush(stderr);
    zyntax_runtime_turn(rt, 0);
}

} // namespace

TEST_CASE("a_debug_build_names_the_task_whose_poll_returned_another_value_and_aborts") {
    SKIP_WHEN(!has_processes, "this system has no child processes that may abort");
    if (!checked) return; // a release build trusts its host
    for (void (*run)() : {run_one<2>, run_one<-1>, run_one<256>}) {
        Death death = death_of(run);
        CHECK(death.aborted);
        std::erase(death.message, '\r');
        size_t gap = death.message.find(' '), end = death.message.find('\n');
        CHECK(end != std::string::npos);
        if (end == std::string::npos) continue; // on Windows the child runs the test up to its own death
        std::string task = death.message.substr(0, gap), poll = death.message.substr(gap + 1, end - gap - 1);
        std::string said = death.message.substr(end + 1);
        CAPTURE(said);
        CHECK(said.find("zyntax: ") == 0);
        CHECK(said.find("task " + task + " ") != std::string::npos);
        CHECK(said.find("poll function " + poll) != std::string::npos);
    }
}

TEST_CASE("the_two_values_that_it_may_return_are_left_alone_in_every_build") {
    SKIP_WHEN(!has_processes, "this system has no child processes that may abort");
    for (void (*run)() : {run_one<POLL_READY>, run_one<POLL_PENDING>}) CHECK(death_of(run).left);
}
