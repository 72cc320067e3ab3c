#include "engine/team.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

#include "engine/quota.h"

#if defined(LW_OPENMP)
#include <omp.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lanewise {
namespace {

constexpr int kMostThreads = 1024;  // a runtime asked for many more ends the process
std::atomic<int> g_threads{0};      // 0: not asked yet
std::atomic<int> g_busy{0};         // threads beyond the callers themselves that are at work
std::atomic<int> g_forks{0};
std::atomic<bool> g_always_team{false};
thread_local int t_limit = 0;  // 0: none

inline void pause_cpu() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// OMP_NUM_THREADS, of a list the first; 0: not set, or no number of threads.
int threads_of_environment() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const long n = text ? std::strtol(text, nullptr, 10) : 0;
  return n >= 1 ? static_cast<int>(std::min<long>(n, kMostThreads)) : 0;
}

int affinity_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

// Which CPUs the threads of a team run on. A scheduler may put a new or a woken thread on the CPU of one that is
// running, and while one of them spins the other does not run at all: for tens of milliseconds each call of 200 us took
// 8 ms. So a thread that finds itself on a CPU that is taken asks for another, and then for all that it was allowed
// again.
class Places {
 public:
  void take() {
#if defined(__linux__)
    const int cpu = sched_getcpu();
    if (cpu < 0 || cpu >= 64) return;
    const uint64_t taken = taken_.fetch_or(uint64_t{1} << cpu, std::memory_order_relaxed);
    if ((taken >> cpu & 1) == 0) return;
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    cpu_set_t others = allowed;
    for (int c = 0; c < 64; ++c)
      if (taken >> c & 1) CPU_CLR(c, &others);
    if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return;
    sched_setaffinity(0, sizeof allowed, &allowed);
    const int now = sched_getcpu();
    if (now >= 0 && now < 64) taken_.fetch_or(uint64_t{1} << now, std::memory_order_relaxed);
#endif
  }

 private:
  std::atomic<uint64_t> taken_{0};
};

// What the calling thread's OpenMP was limited to (threadpoolctl, joblib and programs of OpenMP do that), 0: nothing. A
// setting that is not below what OpenMP starts with is no limit: set_num_threads may ask for more.
int openmp_limit() {
#if defined(LW_OPENMP)
  static const int begun_with = threads_of_environment() > 0 ? threads_of_environment() : omp_get_num_procs();
  const int now = omp_get_max_threads();
  return now < begun_with ? now : 0;
#else
  return 0;
#endif
}

int threads_of_process() {
  int n = g_threads.load(std::memory_order_relaxed);
  if (n == 0) {
    n = default_num_threads();
    g_threads.store(n, std::memory_order_relaxed);
  }
  return n;
}

}  // namespace

std::string thread_runtime() {
#if defined(LW_OPENMP)
  return "OpenMP";
#else
  return "std::thread";
#endif
}

int default_num_threads() {
  if (const int n = threads_of_environment()) return n;
  const int cpus = affinity_count(), quota = cgroup_cpus();
  return std::min(kMostThreads, quota > 0 ? std::min(cpus, quota) : cpus);
}

int get_num_threads() {
  int n = threads_of_process();
  for (const int limit : {t_limit, openmp_limit()})
    if (limit > 0) n = std::min(limit, n);
  return n;
}

void limit_threads(int n) { t_limit = n; }

void set_num_threads(int n) {
  if (n < 1 || n > kMostThreads)
    throw std::invalid_argument("n: expected 1 to " + std::to_string(kMostThreads) +
                                " threads. Received: " + std::to_string(n) + ".");
  g_threads.store(n, std::memory_order_relaxed);
}

bool always_team() { return g_always_team.load(std::memory_order_relaxed); }
void set_always_team(bool always) { g_always_team.store(always, std::memory_order_relaxed); }

int fork_count() { return g_forks.load(std::memory_order_relaxed); }

void set_forked() {
  g_forks.fetch_add(1);
  g_busy.store(0);
}

TeamShare::TeamShare(int wanted) : count_(1) {
  if (wanted <= 1 || fork_count() > 0) return;
  const int budget = threads_of_process() - 1;
  int busy = g_busy.load(std::memory_order_relaxed);
  for (;;) {
    const int extra = std::min(wanted - 1, budget - busy);
    if (extra <= 0) return;
    if (g_busy.compare_exchange_weak(busy, busy + extra)) {
      count_ = 1 + extra;
      return;
    }
  }
}

TeamShare::~TeamShare() {
  if (count_ > 1) g_busy.fetch_sub(count_ - 1);
}

void run_team(int threads, const std::function<void(int, int)>& body) {
  if (threads <= 1 || fork_count() > 0) {
    FloatEnvironment environment;
    body(0, 1);
    return;
  }
  Places places;
#if defined(LW_OPENMP)
  // The runtime waits for the end by spinning for milliseconds, even for a thread that has no CPU because of that; our
  // barrier sleeps soon.
  Barrier end;
#pragma omp parallel num_threads(threads)
  {
    places.take();
    FloatEnvironment environment;
    body(omp_get_thread_num(), omp_get_num_threads());
    end.wait(omp_get_num_threads());
  }
#else
  std::vector<std::thread> team;
  std::atomic<int> size{0};  // 0: still gathering
  auto run = [&](int thread) {
    size.wait(0);
    places.take();
    FloatEnvironment environment;
    body(thread, size.load());
  };
  for (int t = 1; t < threads; ++t) {
    try {
      team.emplace_back(run, t);
    } catch (const std::system_error&) {  // no more threads to be had: a smaller team does the same work
      break;
    }
  }
  size.store(static_cast<int>(team.size()) + 1);
  size.notify_all();
  run(0);
  for (auto& t : team) t.join();
#endif
}

void Barrier::wait(int threads) {
  if (threads == 1) return;
  const uint32_t phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
    arrived_.store(0, std::memory_order_relaxed);
    // Sequentially consistent: the library looks whether anyone waits before it wakes them, and that look must not come
    // before the new phase is seen, or the one who is just going to sleep is never woken.
    phase_.store(phase + 1, std::memory_order_seq_cst);
    phase_.notify_all();
    return;
  }
  for (int spin = 0; spin < 4000; ++spin) {
    if (phase_.load(std::memory_order_acquire) != phase) return;
    pause_cpu();
  }
  while (phase_.load(std::memory_order_acquire) == phase) phase_.wait(phase, std::memory_order_acquire);
}

#if defined(__x86_64__)
FloatEnvironment::FloatEnvironment() : saved_(_mm_getcsr()) { _mm_setcsr(0x1F80); }
FloatEnvironment::~FloatEnvironment() { _mm_setcsr(static_cast<unsigned>(saved_)); }
#elif defined(__aarch64__)
FloatEnvironment::FloatEnvironment() {
  asm volatile("mrs %0, fpcr" : "=r"(saved_));
  asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
}
FloatEnvironment::~FloatEnvironment() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
FloatEnvironment::FloatEnvironment() : saved_(0) {}
FloatEnvironment::~FloatEnvironment() = default;
#endif

}  // namespace lanewise
