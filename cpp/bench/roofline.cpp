// A probe of the machine, not of lanewise: the FMA peak and the bandwidth of a working set of a given size.
// bench/roofline.py compiles it for the machine it runs on (-O3 -march=native), calls it and takes medians.
//
//   roofline fma   THREADS REPEATS          GFLOP/s of all threads together, one repetition a line
//   roofline KIND  THREADS REPEATS BYTES    GB/s (1e9 bytes); every thread has a working set of BYTES of its own
//
// KIND: read; write; copy (half of BYTES read, half written, both counted); update (four quarters read, three of them
// written again, all seven counted: an optimizer's traffic); stream_write and stream_copy: the same with stores that
// bypass the caches (x86). An ordinary store to memory also fetches the line it overwrites; that traffic
// is not counted.
#include <sys/mman.h>

#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kRegisters = 32;
#elif defined(__AVX__)
constexpr int kLanes = 8, kRegisters = 16;
#elif defined(__aarch64__)
constexpr int kLanes = 4, kRegisters = 32;
#else
constexpr int kLanes = 4, kRegisters = 16;
#endif
using Floats = float __attribute__((vector_size(kLanes * 4)));
using Ints = int32_t __attribute__((vector_size(kLanes * 4)));
constexpr double kRepetition = 0.02;  // seconds

// No store may be dropped and no load shared across this line; loops do not become calls of memcpy.
inline void keep_memory() { asm volatile("" ::: "memory"); }

inline void stream(Floats* to, Floats value) {
#if defined(__AVX512F__)
  _mm512_stream_ps(reinterpret_cast<float*>(to), reinterpret_cast<__m512>(value));
#elif defined(__AVX__)
  _mm256_stream_ps(reinterpret_cast<float*>(to), reinterpret_cast<__m256>(value));
#elif defined(__x86_64__)
  _mm_stream_ps(reinterpret_cast<float*>(to), reinterpret_cast<__m128>(value));
#else
  *to = value;
#endif
}

// acc = acc * x + y in registers alone. 3/4 of them are chains: 12 or 24, where the widest of today's cores needs
// 4 cycles * 4 units = 16 and the usual one 4 * 2 = 8. The values converge to y / (1 - x): no overflow, no subnormals.
float fma_passes(int64_t passes, const float* input) {
  constexpr int kChains = kRegisters * 3 / 4;
  Floats acc[kChains];
  const Floats x = Floats{} + input[0], y = Floats{} + input[1];
#pragma GCC unroll 32
  for (int c = 0; c < kChains; ++c) acc[c] = y + static_cast<float>(c);
  for (int64_t p = 0; p < passes; ++p) {
#pragma GCC unroll 32
    for (int c = 0; c < kChains; ++c) acc[c] = acc[c] * x + y;
  }
  float sum = 0;
  for (const Floats& a : acc) sum += a[0];
  return sum;
}
constexpr double kFmaFlops = 2.0 * kLanes * (kRegisters * 3 / 4);  // of one pass

int32_t read_pass(const float* data, int64_t floats) {
  constexpr int kUnroll = 8;
  Ints acc[kUnroll] = {};
  const auto* p = reinterpret_cast<const Ints*>(data);
  for (int64_t i = 0; i < floats / kLanes; i += kUnroll) {
#pragma GCC unroll 8
    for (int u = 0; u < kUnroll; ++u) acc[u] ^= p[i + u];
  }
  int32_t sum = 0;
  for (const Ints& a : acc) sum ^= a[0];
  return sum;
}

template <bool Streaming>
void write_pass(float* data, int64_t floats, float value) {
  auto* p = reinterpret_cast<Floats*>(data);
  const Floats v = Floats{} + value;
  for (int64_t i = 0; i < floats / kLanes; i += 4) {
    if (Streaming) {
      stream(p + i, v), stream(p + i + 1, v), stream(p + i + 2, v), stream(p + i + 3, v);
    } else {
      p[i] = v, p[i + 1] = v, p[i + 2] = v, p[i + 3] = v;
    }
    keep_memory();
  }
}

template <bool Streaming>
void copy_pass(const float* from, float* to, int64_t floats) {
  const auto* s = reinterpret_cast<const Floats*>(from);
  auto* d = reinterpret_cast<Floats*>(to);
  for (int64_t i = 0; i < floats / kLanes; i += 4) {
    const Floats a = s[i], b = s[i + 1], c = s[i + 2], e = s[i + 3];
    if (Streaming) {
      stream(d + i, a), stream(d + i + 1, b), stream(d + i + 2, c), stream(d + i + 3, e);
    } else {
      d[i] = a, d[i + 1] = b, d[i + 2] = c, d[i + 3] = e;
    }
    keep_memory();
  }
}

// Three arrays change, the fourth is only read.
void update_pass(float* data, int64_t floats) {
  const int64_t quarter = floats / kLanes / 4;
  auto* p = reinterpret_cast<Floats*>(data);
  for (int64_t i = 0; i < quarter; ++i) {
    const Floats g = p[i];
    for (int64_t array = 1; array < 4; ++array) p[i + array * quarter] = 0.5f * (p[i + array * quarter] + g);
    keep_memory();
  }
}

// Memory in huge pages where the system gives them, each page touched and filled with numbers that are no zeros: pages
// never written would all be one page of zeros, which sits in L1.
class Memory {
 public:
  explicit Memory(int64_t bytes) {
    constexpr size_t kHuge = size_t{1} << 21;
    const size_t whole = (static_cast<size_t>(bytes) + kHuge - 1) / kHuge * kHuge;
    data_ = static_cast<float*>(std::aligned_alloc(kHuge, whole));
    if (data_ == nullptr) throw std::bad_alloc();
    madvise(data_, whole, MADV_HUGEPAGE);
    uint32_t word = 1;
    for (size_t i = 0; i < whole / 4; ++i) {
      word = word * 1664525u + 1013904223u;
      data_[i] = 1.0f + static_cast<float>(word >> 8) * 0x1p-24f;
    }
  }
  ~Memory() { std::free(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  float* data() const { return data_; }

 private:
  float* data_;
};

volatile float g_input[2] = {0.5f, 0.75f};
volatile float g_sink;

// What one thread does `passes` times.
std::function<void(int64_t)> work(const std::string& kind, const Memory& memory, int64_t bytes) {
  float* data = memory.data();
  const int64_t floats = bytes / 4, half = floats / 2;
  auto repeat = [](auto pass) {
    return [pass](int64_t passes) {
      for (int64_t i = 0; i < passes; ++i) {
        pass();
        keep_memory();
      }
    };
  };
  if (kind == "fma")
    return [](int64_t passes) {
      const float input[2] = {g_input[0], g_input[1]};
      g_sink = fma_passes(passes, input);
    };
  if (kind == "read") return repeat([=] { g_sink = static_cast<float>(read_pass(data, floats)); });
  if (kind == "write") return repeat([=] { write_pass<false>(data, floats, g_input[0]); });
  if (kind == "copy") return repeat([=] { copy_pass<false>(data, data + half, half); });
  if (kind == "update") return repeat([=] { update_pass(data, floats); });
#if defined(__x86_64__)
  if (kind == "stream_write") return repeat([=] { write_pass<true>(data, floats, g_input[0]); });
  if (kind == "stream_copy") return repeat([=] { copy_pass<true>(data, data + half, half); });
#endif
  throw std::invalid_argument("unknown kind: " + kind);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr,
                 "usage: roofline fma|read|write|copy|update|stream_write|stream_copy THREADS REPEATS [BYTES]\n");
    return 2;
  }
  const std::string kind = argv[1];
  const int threads = std::atoi(argv[2]), repeats = std::atoi(argv[3]);
  const int64_t grain = int64_t{4} * 8 * kLanes * 4;  // four quarters of whole unrolled iterations
  const int64_t bytes = argc > 4 ? std::atoll(argv[4]) / grain * grain : grain;
  if (threads < 1 || repeats < 1 || bytes < grain) return 2;
  const double traffic = static_cast<double>(bytes) * (kind == "update" ? 7.0 / 4.0 : 1.0);
  const double units = kind == "fma" ? kFmaFlops : traffic;  // of one pass of one thread
  using Clock = std::chrono::steady_clock;
  int64_t passes = 1;
  Clock::time_point begun;
  auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begun).count(); };
  std::barrier together(threads);

  auto run = [&](int thread) {
    const Memory memory(kind == "fma" ? grain : bytes);  // each thread touches its own: local memory
    const auto body = work(kind, memory, bytes);
    for (int64_t n = 1; thread == 0; n *= 2) {  // alone: as many passes as fill a repetition
      begun = Clock::now();
      body(n);
      const double took = seconds();
      if (took < kRepetition / 4 && n < (int64_t{1} << 40)) continue;
      passes = static_cast<int64_t>(static_cast<double>(n) * kRepetition / took) + 1;
      break;
    }
    for (int r = 0; r < repeats; ++r) {
      together.arrive_and_wait();
      if (thread == 0) begun = Clock::now();
      body(passes);
      together.arrive_and_wait();
      if (thread == 0) std::printf("%.3f\n", units * static_cast<double>(passes) * threads / seconds() / 1e9);
    }
  };
  std::vector<std::thread> team;
  for (int t = 1; t < threads; ++t) team.emplace_back(run, t);
  run(0);
  for (auto& t : team) t.join();
  return 0;
}
