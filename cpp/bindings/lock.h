// The lock of a model: many readers or one writer of its weights, and one training at a time.
//
// It is C++ because of Ctrl-C: Python looks for signals wherever a Python function begins or a C function has returned,
// also within `finally` and `__exit__`, so that a lock written in Python can stay held, or a waiting thread never be
// woken. Here signals are looked for in one place only, and what is held is given back by destructors.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "bindings/arrays.h"
#include "bindings/gil.h"
#include "engine/team.h"

namespace lanewise {

// What threads wait for. A forked child gets a new one: the mutex may be locked by a thread that it does not have.
struct LockState {
  explicit LockState(int process) : process(process) {}
  const int process;  // number of forks that led to it
  std::mutex mutex;   // held for a few instructions, never while the GIL is waited for
  std::condition_variable changed;
  std::vector<std::thread::id> readers;
  std::thread::id writer;  // none: nobody writes
  int writers_waiting = 0, readers_waiting = 0;
  int turn = 0;  // so many waiting readers go before the next writer: a training asks again at once after each slice
  bool training = false;
  bool torn = false;  // another thread was writing when the process was forked: the weights are of no one moment

  bool free_of_writers() const { return writer == std::thread::id(); }
};

class ModelLock {
 public:
  ModelLock() : state_(new LockState(fork_count())) {}
  ~ModelLock() { delete state_.load(); }
  ModelLock(const ModelLock&) = delete;
  ModelLock& operator=(const ModelLock&) = delete;

  // Held until the end of the scope.
  class Reading {
   public:
    explicit Reading(ModelLock& lock) : s_(lock.state()) {
      std::unique_lock<std::mutex> guard(s_.mutex);
      check_usable(s_);
      if (!reads(s_)) {  // a second time within one thread: a waiting writer cannot come between
        const Waiting waiting(s_, guard, s_.readers_waiting);
        wait(s_, guard, [&] { return s_.free_of_writers() && (s_.writers_waiting == 0 || s_.turn > 0); });
      }
      s_.readers.push_back(std::this_thread::get_id());
    }
    ~Reading() {
      const std::lock_guard<std::mutex> guard(s_.mutex);
      s_.readers.erase(std::find(s_.readers.begin(), s_.readers.end(), std::this_thread::get_id()));
      if (s_.writers_waiting > 0) s_.changed.notify_all();
    }

   private:
    LockState& s_;
  };

  py::object read(const py::object& function, const py::args& args, const py::kwargs& kwargs) {
    const Reading held(*this);
    return or_stay([&] { return function(*args, **kwargs); });
  }

  py::object write(const py::object& function, const py::args& args, const py::kwargs& kwargs) {
    const Writing held(*this);
    return or_stay([&] { return function(*args, **kwargs); });
  }

  void begin_training() {
    LockState& s = state();
    const std::lock_guard<std::mutex> guard(s.mutex);
    if (s.training)
      throw std::runtime_error("fit: this model is being trained already; wait for it, or train a second model");
    s.training = true;
  }

  void end_training() {
    LockState& s = state();
    const std::lock_guard<std::mutex> guard(s.mutex);
    s.training = false;
  }

 private:
  // Waits until `free`, without the GIL; Ctrl-C ends the wait.
  template <typename Free>
  static void wait(LockState& s, std::unique_lock<std::mutex>& guard, const Free& free) {
    while (!free()) {
      guard.unlock();
      {
        const GilReleased release;
        guard.lock();
        s.changed.wait_for(guard, std::chrono::milliseconds(50), free);
        guard.unlock();
      }
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (is_finalizing())  // who writes may never go on
        throw std::runtime_error("the interpreter ends while another thread uses this model");
      guard.lock();
    }
  }

  // One more of those who wait, until the end of the scope, which may be Ctrl-C.
  class Waiting {
   public:
    Waiting(LockState& s, std::unique_lock<std::mutex>& guard, int& count) : s_(s), guard_(guard), count_(count) {
      ++count_;
    }
    ~Waiting() {
      if (!guard_.owns_lock()) guard_.lock();
      --count_;
      if (&count_ == &s_.readers_waiting && s_.turn > 0) --s_.turn;
      s_.changed.notify_all();
    }

   private:
    LockState& s_;
    std::unique_lock<std::mutex>& guard_;
    int& count_;
  };

  static void check_usable(const LockState& s) {
    if (s.torn)
      throw std::runtime_error(
          "this process was forked while another thread was in the middle of a training step of this model: its "
          "weights are of no one moment here; fork between two steps, or load the model in the child");
    if (s.writer == std::this_thread::get_id())
      throw std::runtime_error(
          "a loss, metric or layer written in Python was called by a step of this model and cannot use the model "
          "itself: it would wait for that step to end");
  }

  class Writing {
   public:
    explicit Writing(ModelLock& lock) : s_(lock.state()) {
      std::unique_lock<std::mutex> guard(s_.mutex);
      check_usable(s_);
      if (reads(s_))
        throw std::runtime_error(
            "a piece of this model written in Python was called while its weights are read and cannot change them");
      const Waiting waiting(s_, guard, s_.writers_waiting);
      wait(s_, guard, [&] { return s_.free_of_writers() && s_.readers.empty() && s_.turn == 0; });
      s_.writer = std::this_thread::get_id();
    }
    ~Writing() {
      const std::lock_guard<std::mutex> guard(s_.mutex);
      s_.writer = std::thread::id();
      s_.turn = s_.readers_waiting;
      s_.changed.notify_all();
    }

   private:
    LockState& s_;
  };

  static bool reads(const LockState& s) {
    return std::find(s.readers.begin(), s.readers.end(), std::this_thread::get_id()) != s.readers.end();
  }

  LockState& state() {
    LockState* s = state_.load();
    if (s->process == fork_count()) return *s;
    auto* fresh = new LockState(fork_count());
    fresh->torn = s->torn || !(s->free_of_writers() || s->writer == std::this_thread::get_id());
    if (state_.compare_exchange_strong(s, fresh)) return *fresh;  // the old one stays: its mutex may be locked
    delete fresh;
    return *s;
  }

  std::atomic<LockState*> state_;
};

}  // namespace lanewise
