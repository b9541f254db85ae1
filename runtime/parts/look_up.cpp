// Look-ups of names on the blocking pool.
#include "look_up.h"

#include <string.h>

namespace zyntax {

namespace {

constexpr uint32_t usual_addresses = 8; // room at first

int64_t look_up_names(void *arg) {
    auto *names = static_cast<Names *>(arg);
    return os::look_up(names->host, names->port, false, names->list(), names->capacity);
}

} // namespace

bool make_room(Runtime *runtime, LookUp *look_up, uint32_t capacity) {
    Names *before = look_up->names;
    assert(!look_up->count && !look_up->op_id && capacity > (before ? before->capacity : 0));
    constexpr size_t most = (Arena::max_size - sizeof(Names)) / sizeof(os::Address);
    void *memory = capacity <= most ? runtime->arena.take(Names::size(capacity)) : nullptr;
    if (!memory) return false;
    auto *names = ::new (memory) Names();
    if (before) *names = *before;
    names->capacity = capacity;
    end_look_up(runtime, look_up);
    look_up->names = names;
    return true;
}

void end_look_up(Runtime *runtime, LookUp *look_up) {
    zyntax_op_cancel(&look_up->op_id);
    if (look_up->names) runtime->arena.give(look_up->names, Names::size(look_up->names->capacity));
    look_up->names = nullptr;
}

bool begin_look_up(Runtime *runtime, LookUp *look_up, const char *host, uint16_t port) {
    assert(is_host(host));
    os::Address numeric = {};
    bool is_numeric = os::look_up(host, port, true, &numeric, 1) == 1;
    if (!make_room(runtime, look_up, is_numeric ? 1 : usual_addresses)) return false;
    memcpy(look_up->names->host, host, strlen(host));
    look_up->names->port = port;
    if (is_numeric) look_up->names->list()[look_up->count++] = numeric;
    return true;
}

// Looks the name up again when it has more addresses than there is room for.
PollStatus find_addresses(Runtime *runtime, LookUp *look_up, Waker *waker, int32_t *error) {
    while (!look_up->count) {
        Names *names = look_up->names;
        size_t size = Names::size(names->capacity);
        int64_t n = 0;
        if (look_up_in_pool(runtime, &look_up->op_id, look_up_names, names, size, waker, &n) == POLL_PENDING)
            return POLL_PENDING;
        assert(n != 0);
        if (n < 0) {
            *error = static_cast<int32_t>(n);
            break;
        }
        auto count = static_cast<uint32_t>(n);
        if (count <= names->capacity) {
            look_up->count = count;
        } else if (!make_room(runtime, look_up, count)) {
            *error = ZYNTAX_ENOMEM;
            break;
        }
    }
    return POLL_READY;
}

} // namespace zyntax
