#include "dispatch/dispatch.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "kernels/matmul.h"

namespace lanewise {

#if defined(LW_HAVE_AVX512)
namespace avx512 {
extern const KernelTable kTable;
}
#endif
#if defined(LW_HAVE_AVX2)
namespace avx2 {
extern const KernelTable kTable;
}
#endif
#if defined(LW_HAVE_NEON)
namespace neon {
extern const KernelTable kTable;
}
#endif
namespace generic {
extern const KernelTable kTable;
}

namespace {

// What this CPU has and its system keeps from one task to the next (Intel's manual, volume 1, sections 14.3 and 15.2 to
// 15.4); 4 KB less than the compiler's own functions.
struct Cpu {
  bool avx2, avx512, intel;
};
Cpu look() {
  Cpu cpu{};
#if defined(__x86_64__)
  uint32_t a, b, c, d, state;
  cpu.intel = __get_cpuid(0, &a, &b, &c, &d) && b == signature_INTEL_ebx;
  constexpr uint32_t kOfLeaf1 = bit_OSXSAVE | bit_AVX | bit_FMA;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & kOfLeaf1) != kOfLeaf1) return cpu;
  asm volatile("xgetbv" : "=a"(state), "=d"(d) : "c"(0));
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return cpu;
  constexpr uint32_t kYmm = 0x6, kZmm = 0xe6, kOf512 = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
  cpu.avx2 = (state & kYmm) == kYmm && (b & bit_AVX2) != 0;
  cpu.avx512 = cpu.avx2 && (state & kZmm) == kZmm && (b & kOf512) == kOf512;
#endif
  return cpu;
}
const Cpu kCpu = look();

struct Candidate {
  const KernelTable* table;
  bool supported;
};

// Best first; the first supported one wins.
const Candidate kCandidates[] = {
#if defined(LW_HAVE_AVX512)
    {&avx512::kTable, kCpu.avx512},
#endif
#if defined(LW_HAVE_AVX2)
    {&avx2::kTable, kCpu.avx2},
#endif
#if defined(LW_HAVE_NEON)
    {&neon::kTable, true},  // part of every AArch64 CPU
#endif
    {&generic::kTable, true},
};

std::atomic<const KernelTable*> g_active{&generic::kTable};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

Core core = kCpu.intel ? kCascadeLake : kZen4;

const KernelTable& kernels() { return *g_active.load(std::memory_order_relaxed); }

std::vector<std::string> compiled_isas() {
  std::vector<std::string> names;
  for (const auto& c : kCandidates) names.push_back(c.table->isa);
  return names;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const auto& c : kCandidates)
    if (c.supported) names.push_back(c.table->isa);
  return names;
}

void use_isa(const std::string& name) {
  for (const auto& c : kCandidates) {
    if (name != c.table->isa) continue;
    if (!c.supported)
      throw std::invalid_argument("ISA '" + name + "' is compiled in, but this CPU does not have it. Available here: " +
                                  joined(available_isas()) + ".");
    g_active.store(c.table, std::memory_order_relaxed);
    return;
  }
  throw std::invalid_argument("Unknown ISA. Expected one of: " + joined(available_isas()) + ". Received: '" + name +
                              "'.");
}

void initialise_dispatch() {
  const char* wanted = std::getenv("LANEWISE_ISA");
  if (wanted == nullptr || *wanted == '\0') return use_isa(available_isas().front());
  try {
    use_isa(wanted);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string("The environment variable LANEWISE_ISA: ") + error.what());
  }
}

std::vector<std::string> kernel_names() {
  static constexpr const char* kNames[] = {
#define LW_KERNEL(name, params) #name,
#include "kernels/kernels.inc"
#undef LW_KERNEL
  };
  return {std::begin(kNames), std::end(kNames)};
}

std::string read_file(const std::string& path) {
  std::string text;
  if (std::FILE* file = std::fopen(path.c_str(), "r")) {
    char part[512];
    while (const size_t n = std::fread(part, 1, sizeof part, file)) text.append(part, n);
    std::fclose(file);
  }
  return text;
}

std::string cpu_name() {
  const std::string info = read_file("/proc/cpuinfo");
  const size_t at = info.find("model name"), colon = info.find(": ", at);
  return at == std::string::npos || colon == std::string::npos
             ? "unknown"
             : info.substr(colon + 2, info.find('\n', colon) - colon - 2);
}

}  // namespace lanewise
