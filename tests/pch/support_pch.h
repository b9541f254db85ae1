// What every test includes, compiled once.
#include "../support.h"
