// Memory on cache-line boundaries, freed by its owner.
#pragma once
#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

namespace lanewise {

// Product of sizes; throws where it would not fit, so that no offset can wrap.
inline int64_t checked_product(int64_t a, int64_t b) {
  int64_t r;
  if (__builtin_mul_overflow(a, b, &r) || r < 0) throw std::length_error("array size overflows 64 bits");
  return r;
}

// Their sum; the same.
inline int64_t checked_sum(int64_t a, int64_t b) {
  int64_t r;
  if (__builtin_add_overflow(a, b, &r)) throw std::length_error("array size overflows 64 bits");
  return r;
}

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t n) : size_(n) {
    if (n <= 0) return;
    const auto bytes = static_cast<size_t>(checked_product(n, sizeof(T)));
    data_ = static_cast<T*>(::operator new(bytes, alignment()));
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (large()) madvise(data_, bytes, MADV_HUGEPAGE);  // a wish: fewer pages to look up, prefetchers run on
#endif
  }
  Buffer(Buffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
  Buffer& operator=(Buffer&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
    return *this;
  }
  ~Buffer() { ::operator delete(data_, alignment()); }

  static Buffer zeros(int64_t n) {
    Buffer b(n);
    if (n > 0) std::memset(b.data_, 0, static_cast<size_t>(n) * sizeof(T));
    return b;
  }
  // Gives its pages back to the system, which malloc may not when it is destroyed next.
  void give_back_pages() {
#if defined(__linux__)
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<uintptr_t>(data_), first = (begin + page - 1) & ~(page - 1);
    const uintptr_t last = (begin + static_cast<uintptr_t>(size_) * sizeof(T)) & ~(page - 1);
    if (data_ && first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
#endif
  }
  T* data() const { return data_; }
  int64_t size() const { return size_; }

 private:
  static constexpr size_t kHugePage = size_t{1} << 21;
  bool large() const { return static_cast<size_t>(size_) >= kHugePage / sizeof(T); }
  std::align_val_t alignment() const { return std::align_val_t(large() ? kHugePage : 64); }

  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace lanewise
