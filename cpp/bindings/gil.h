// Giving up the GIL and taking it back, by threads that may outlive the interpreter.
//
// CPython before 3.14 ends a daemon thread that wants the GIL when the interpreter is going by pthread_exit, whose
// unwinding ends the process where it meets a destructor or a catch (...) of C++. Such a thread stops here for good, as
// in 3.14.
#pragma once
#include <unistd.h>

#include "bindings/python.h"
#ifdef __GLIBCXX__
#include <cxxabi.h>
#endif

namespace lanewise {

// act(), which may take the GIL. (No object stands behind the reference that is caught.)
template <class Act>
__attribute__((no_sanitize("undefined"))) auto or_stay(Act act) {
#ifdef __GLIBCXX__
  try {
    return act();
  } catch (abi::__forced_unwind&) {
    for (;;) pause();
  }
#else
  return act();
#endif
}

inline bool is_finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

// Without the GIL until the end of the scope.
class GilReleased {
 public:
  GilReleased() : state_(PyEval_SaveThread()) {}
  ~GilReleased() {
    or_stay([this] { PyEval_RestoreThread(state_); });
  }
  GilReleased(const GilReleased&) = delete;
  GilReleased& operator=(const GilReleased&) = delete;

 private:
  PyThreadState* state_;
};

// With the GIL until the end of the scope.
class GilHeld {
 public:
  GilHeld() : state_(or_stay([] { return PyGILState_Ensure(); })) {}
  ~GilHeld() { PyGILState_Release(state_); }
  GilHeld(const GilHeld&) = delete;
  GilHeld& operator=(const GilHeld&) = delete;

 private:
  PyGILState_STATE state_;
};

}  // namespace lanewise
