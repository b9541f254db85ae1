// Questions of other parts about a channel.
#pragma once

#include "../runtime.h"

namespace zyntax {

size_t item_size_of(zyntax_channel *); // 0 for a dead handle

} // namespace zyntax
