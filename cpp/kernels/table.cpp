// This ISA's kernel table: constant data, filled in the order of kernels.inc.
#include "kernels/declare.h"

namespace lanewise::LW_ISA {

#define LW_TEXT_(x) #x
#define LW_TEXT(x) LW_TEXT_(x)
#if defined(LW_ISA_GENERIC)
constexpr bool kFused = false;
#else
constexpr bool kFused = true;
#endif

extern const KernelTable kTable;
constinit const KernelTable kTable = {
    LW_TEXT(LW_ISA),
    kFused,
#define LW_KERNEL(name, params) &name,
#include "kernels/kernels.inc"
#undef LW_KERNEL
};

}  // namespace lanewise::LW_ISA
