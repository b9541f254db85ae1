#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <cfloat> // first: with zig's headers for macOS it gives nothing once <cmath> has asked it for a part
#include <doctest/doctest.h>
