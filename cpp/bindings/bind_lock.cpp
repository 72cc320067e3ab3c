// The lock of a model as Python sees it.
#include "bindings/lock.h"

namespace lanewise {
namespace {

// The right to train. It ends with __exit__ or with the object: from Python 3.14 on Ctrl-C may come between __enter__
// and the block of a `with`.
class Turn {
 public:
  explicit Turn(ModelLock& lock) : lock_(lock) {}
  ~Turn() { end(); }
  Turn(const Turn& other) : lock_(other.lock_) {}  // nobody's yet
  Turn& operator=(const Turn&) = delete;
  void begin() {
    lock_.begin_training();
    held_ = true;
  }
  void end() {
    if (held_) lock_.end_training();
    held_ = false;
  }

 private:
  ModelLock& lock_;
  bool held_ = false;
};

}  // namespace

void register_lock(py::module_& m) {
  py::class_<ModelLock>(m, "ModelLock")
      .def("__init__", made_by(+[] { return std::make_unique<ModelLock>(); }), is_new_style_constructor())
      .def("read", &ModelLock::read, py::arg("function"))
      .def("write", &ModelLock::write, py::arg("function"))
      // no holder: where there is no memory for the object's entry among pybind11's, both would free it
      .def(
          "training", [](ModelLock& lock) { return Turn(lock); }, py::keep_alive<0, 1>());
  py::class_<Turn>(m, "Turn").def("__enter__", &Turn::begin).def("__exit__", [](Turn& turn, const py::args&) {
    turn.end();
  });
}

}  // namespace lanewise
