// The options of zyntax_io_set.
#pragma once

#include "os.h"

namespace zyntax::os {

// Sets an option of the header to a value of its range. 0 or an error: ZYNTAX_EOPNOTSUPP if the socket does not have
// the option.
int32_t set_socket_option(intptr_t fd, int32_t option, int32_t value);

} // namespace zyntax::os
