// The function that the library's code, as compiled for these tests, calls at the start of each basic block.
#include "steps_support.h"

namespace {

thread_local uint64_t count;

} // namespace

extern "C" void __sanitizer_cov_trace_pc() { count++; }

uint64_t support::steps() { return count; }
