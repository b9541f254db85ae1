// The runtime's own equations (zyntax_runtime::is_valid), in programs that are built with them.
#include "program.h"

#if !defined(RANDOM_REAL) && !defined(NDEBUG)

#include "../../runtime/runtime.h"

namespace random_test {

bool is_valid(zyntax_runtime *runtime) { return runtime->is_valid(); }

} // namespace random_test

#else

namespace random_test {

bool is_valid(zyntax_runtime *) { return true; }

} // namespace random_test

#endif
