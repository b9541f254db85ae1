// The addresses of sockets, and their options.
#include "../../platform/socket_options.h"
#include "../../platform/addresses.h"
#include "io.h"

using namespace zyntax;

namespace {

// The values that an option takes. Each system takes all of them.
struct OptionRange {
    int32_t least, most;
};
constexpr OptionRange option_ranges[] = {
    {0, 1},         // ZYNTAX_NO_DELAY
    {0, 32767},     // ZYNTAX_KEEP_ALIVE
    {-1, 32767},    // ZYNTAX_LINGER
    {1, INT32_MAX}, // ZYNTAX_SEND_BUFFER
    {1, INT32_MAX}, // ZYNTAX_RECEIVE_BUFFER
    {0, 1},         // ZYNTAX_BROADCAST
    {1, 255},       // ZYNTAX_TTL
    {0, 255},       // ZYNTAX_MULTICAST_TTL
    {0, 1},         // ZYNTAX_MULTICAST_LOOP
};
constexpr int32_t options_end = ZYNTAX_NO_DELAY + sizeof option_ranges / sizeof *option_ranges;
static_assert(ZYNTAX_NO_DELAY == 1 && ZYNTAX_MULTICAST_LOOP + 1 == options_end);

bool is_option(int32_t option, int64_t value) {
    if (option < ZYNTAX_NO_DELAY || option >= options_end) return false;
    const OptionRange &range = option_ranges[option - ZYNTAX_NO_DELAY];
    return value >= range.least && value <= range.most;
}

// 0 if the handle's descriptor is a socket.
int32_t check_socket(const Io *io) {
    if (!io) return ZYNTAX_ESTALE;
    if (!os::is_socket(io->kind)) return ZYNTAX_EOPNOTSUPP;
    return io->fd < 0 ? int32_t{ZYNTAX_EBADF} : 0;
}

int32_t socket_address(zyntax_io *handle, int32_t (*ask)(intptr_t, zyntax_address *), zyntax_address *out) {
    os::KeepErrors keep;
    IoRef ref = find_io(handle);
    if (int32_t error = check_socket(ref.object)) return error;
    return out ? ask(ref.object->fd, out) : int32_t{ZYNTAX_EINVAL};
}

} // namespace

int32_t zyntax_io_local(zyntax_io *handle, zyntax_address *out) noexcept {
    return socket_address(handle, os::local_address, out);
}

int32_t zyntax_io_peer(zyntax_io *handle, zyntax_address *out) noexcept {
    return socket_address(handle, os::peer_address, out);
}

int32_t zyntax_io_set(zyntax_io *handle, int32_t option, int64_t value) noexcept {
    os::KeepErrors keep;
    IoRef ref = find_io(handle);
    if (ref.object && !is_option(option, value)) return ZYNTAX_EINVAL;
    if (int32_t error = check_socket(ref.object)) return error;
    return os::set_socket_option(ref.object->fd, option, static_cast<int32_t>(value));
}
