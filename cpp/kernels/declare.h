// Every kernel of kernels.inc, declared in the namespace of the ISA that is being compiled.
#pragma once
#include "kernels/kernels.h"

namespace lanewise::LW_ISA {
#define LW_KERNEL(name, params) void name params;
#include "kernels/kernels.inc"
#undef LW_KERNEL
}  // namespace lanewise::LW_ISA
