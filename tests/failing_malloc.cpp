// Preloaded into a Python: the n-th allocation fails, of those that the watched library makes with operator new, or a
// watched one with malloc, calloc, realloc. See tests/test_out_of_memory.py.
#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
// AddressSanitizer's, where it is preloaded behind this: then it allocates.
__attribute__((weak)) void* __interceptor_malloc(size_t);
__attribute__((weak)) void* __interceptor_calloc(size_t, size_t);
__attribute__((weak)) void* __interceptor_realloc(void*, size_t);
}
#define NEXT(name) (__interceptor_##name != nullptr ? __interceptor_##name : __libc_##name)

namespace {

struct Range {
  std::atomic<uintptr_t> begin, end;
};
Range g_watched[2];
std::atomic<long> g_left{0}, g_seen{0};  // until the one that fails (0: none will); since it was armed

// Whether the allocation that is asked for from `caller` is the one.
bool fails(void* caller) {
  const auto at = reinterpret_cast<uintptr_t>(caller);
  bool watched = false;
  for (const Range& r : g_watched) watched |= at >= r.begin.load() && at < r.end.load();
  if (!watched) return false;
  g_seen.fetch_add(1);
  return g_left.load() > 0 && g_left.fetch_sub(1) == 1;
}
void* out_of_memory() {
  errno = ENOMEM;
  return nullptr;
}

// The sanitizer's operator new, whose memory its operator delete knows; null where it is not there.
template <class New>
New* sanitized(const char* symbol) {
  return __interceptor_malloc != nullptr ? reinterpret_cast<New*>(dlsym(RTLD_NEXT, symbol)) : nullptr;
}

}  // namespace

extern "C" {
void watch(int which, uintptr_t begin, uintptr_t end) { g_watched[which].begin = begin, g_watched[which].end = end; }
void fail_at(long n) { g_seen = 0, g_left = n; }
long seen() { return g_seen; }

void* malloc(size_t n) { return fails(__builtin_return_address(0)) ? out_of_memory() : NEXT(malloc)(n); }
void* calloc(size_t n, size_t size) {
  return fails(__builtin_return_address(0)) ? out_of_memory() : NEXT(calloc)(n, size);
}
void* realloc(void* p, size_t n) { return fails(__builtin_return_address(0)) ? out_of_memory() : NEXT(realloc)(p, n); }
}

void* operator new(size_t n) {
  static const auto theirs = sanitized<void*(size_t)>("_Znwm");
  if (fails(__builtin_return_address(0))) throw std::bad_alloc();
  void* p = theirs != nullptr ? theirs(n) : __libc_malloc(n > 0 ? n : 1);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
void* operator new(size_t n, std::align_val_t alignment) {
  static const auto theirs = sanitized<void*(size_t, std::align_val_t)>("_ZnwmSt11align_val_t");
  if (fails(__builtin_return_address(0))) throw std::bad_alloc();
  void* p = theirs != nullptr ? theirs(n, alignment) : __libc_memalign(static_cast<size_t>(alignment), n > 0 ? n : 1);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
