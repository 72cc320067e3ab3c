#include "dispatch/dispatch.h"

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

struct Candidate {
  const KernelTable* table;
  bool (*supported)();
};

// Best first; the first supported one wins.
const Candidate kCandidates[] = {
#if defined(LW_HAVE_AVX512)
    {&avx512::kTable,
     [] {
       return static_cast<bool>(__builtin_cpu_supports("avx512f")) && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
     }},
#endif
#if defined(LW_HAVE_AVX2)
    {&avx2::kTable, [] { return static_cast<bool>(__builtin_cpu_supports("avx2")) && __builtin_cpu_supports("fma"); }},
#endif
#if defined(LW_HAVE_NEON)
    {&neon::kTable, [] { return true; }},  // part of every AArch64 CPU
#endif
    {&generic::kTable, [] { return true; }},
};

bool is_intel() {
#if defined(__x86_64__)
  __builtin_cpu_init();  // this runs before main
  return __builtin_cpu_is("intel");
#else
  return false;
#endif
}

std::atomic<const KernelTable*> g_active{&generic::kTable};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

Core core = is_intel() ? kCascadeLake : kZen4;

const KernelTable& kernels() { return *g_active.load(std::memory_order_relaxed); }

std::vector<std::string> compiled_isas() {
  std::vector<std::string> names;
  for (const auto& c : kCandidates) names.push_back(c.table->isa);
  return names;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const auto& c : kCandidates)
    if (c.supported()) names.push_back(c.table->isa);
  return names;
}

void use_isa(const std::string& name) {
  for (const auto& c : kCandidates) {
    if (name != c.table->isa) continue;
    if (!c.supported())
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
