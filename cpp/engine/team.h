// The thread team: one parallel region for a whole slice of an epoch, and barriers of our own inside it.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace lanewise {

std::string thread_runtime();  // "OpenMP", "std::thread" or "serial"
int get_num_threads();         // within the calling thread's limits, limit_threads' and OpenMP's
void set_num_threads(int n);
// At most this many for what the calling thread calls from now on, 0: no limit. Trainings side by side get a share
// each.
void limit_threads(int n);
// Whether work that is measured alone and in a team takes the team without measuring: for benchmarks of that choice.
bool always_team();
void set_always_team(bool always);
// What the machine offers: OMP_NUM_THREADS, else min(CPUs this process may run on, ceil of the cgroup quota).
int default_num_threads();
// In a forked child the runtime's threads do not exist any more: from then on everything runs on the calling thread.
void set_forked();
int fork_count();  // of the forks that led to this process

// Threads of the process-wide budget, given back at the end of the scope: concurrent calls share the machine instead
// of oversubscribing it. count() is between 1 and wanted.
class TeamShare {
 public:
  explicit TeamShare(int wanted);
  ~TeamShare();
  TeamShare(const TeamShare&) = delete;
  TeamShare& operator=(const TeamShare&) = delete;
  int count() const { return count_; }

 private:
  int count_;
};

// Runs body(thread, threads) on a team of at most `threads` (the actual number is what body receives), the caller being
// thread 0. Every thread has round-to-nearest without flush-to-zero; the caller's settings come back afterwards.
// body must not throw.
void run_team(int threads, const std::function<void(int, int)>& body);

// Spins briefly, then sleeps: a thread that has lost its core must not stall behind spinning ones.
class Barrier {
 public:
  void wait(int threads);

 private:
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{0};
};

// Round-to-nearest, no flush-to-zero, for the scope; restores what was there.
class FloatEnvironment {
 public:
  FloatEnvironment();
  ~FloatEnvironment();
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  uint64_t saved_;
};

// [begin, end) of `total` units for one thread of a team; units are shared out evenly, the first threads taking the
// rest.
struct Range {
  int64_t begin, end;
};
inline Range share(int64_t total, int thread, int threads) {
  const int64_t each = total / threads, rest = total % threads;
  const int64_t begin = thread * each + (thread < rest ? thread : rest);
  return {begin, begin + each + (thread < rest ? 1 : 0)};
}

}  // namespace lanewise
