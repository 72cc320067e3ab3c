// A mutex that a forked child finds free: the thread of the parent that held it does not live on there.
#pragma once
#include <atomic>

#include "engine/team.h"

namespace lanewise {

template <typename Mutex>
class ForkMutex {
 public:
  ForkMutex() : slot_(new Slot{fork_count(), {}}) {}
  ~ForkMutex() { delete slot_.load(); }
  ForkMutex(const ForkMutex&) = delete;
  ForkMutex& operator=(const ForkMutex&) = delete;

  void lock() { get().lock(); }
  bool try_lock() { return get().try_lock(); }
  void unlock() { get().unlock(); }
  void lock_shared() { get().lock_shared(); }
  void unlock_shared() { get().unlock_shared(); }

 private:
  struct Slot {
    int process;  // number of forks that led to the process whose it is
    Mutex mutex;
  };
  Mutex& get() {
    Slot* slot = slot_.load(std::memory_order_acquire);
    if (slot->process == fork_count()) return slot->mutex;
    auto* fresh = new Slot{fork_count(), {}};
    if (slot_.compare_exchange_strong(slot, fresh)) return fresh->mutex;  // the old one, perhaps locked, stays
    delete fresh;
    return slot->mutex;
  }
  std::atomic<Slot*> slot_;
};

}  // namespace lanewise
