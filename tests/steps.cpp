// What the library's code calls at the beginning of each basic block, as it is compiled for these tests.
#include "steps_support.h"

namespace {

thread_local uint64_t count;

} // namespace

extern "C" void __sanitizer_cov_trace_pc() { count++; }

uint64_t support::steps() { return count; }
