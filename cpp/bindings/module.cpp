// The extension module: one register function a topic.
#include "bindings/arrays.h"
#include "dispatch/dispatch.h"
#include "engine/team.h"

namespace {

// Where memory for an object of Python runs out, pybind11 uses the null pointer (of an object of a class here) or
// reports a RuntimeError beside Python's MemoryError (a list, say). Here it is a MemoryError.
PyObject* allocate(PyTypeObject* type, Py_ssize_t items) {
  PyObject* object = PyType_GenericAlloc(type, items);
  if (object != nullptr) return object;
  PyErr_Clear();
  throw std::bad_alloc();
}
PyObject* make(PyTypeObject* type, PyObject*, PyObject*) {
  try {
    return pybind11::detail::make_new_instance(type);
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  }
}
void report_lack_of_memory(const pybind11::module_& m) {
  for (const auto& [name, value] : pybind11::dict(m.attr("__dict__"))) {
    if (!PyType_Check(value.ptr())) continue;
    auto* type = reinterpret_cast<PyTypeObject*>(value.ptr());
    type->tp_alloc = allocate, type->tp_new = make;
    PyType_Modified(type);
  }
  pybind11::register_local_exception_translator([](std::exception_ptr error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::runtime_error&) {
      if (PyErr_Occurred() == nullptr || !PyErr_ExceptionMatches(PyExc_MemoryError)) throw;
    }
  });
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled core of lanewise: kernels, dispatch, engine. Use it through lanewise and lanewise.ops.";
  m.attr("__version__") = LW_VERSION;
  lanewise::initialise_dispatch();
  lanewise::register_system(m);
  lanewise::register_lock(m);
  lanewise::register_ops(m);
  lanewise::register_dense_ops(m);
  lanewise::register_loss_ops(m);
  lanewise::register_engine(m);
  // The threads of the runtime do not live on in a forked child: it runs everything on its own one.
  const auto os = pybind11::module_::import("os");
  if (pybind11::hasattr(os, "register_at_fork"))
    os.attr("register_at_fork")(pybind11::arg("after_in_child") = pybind11::cpp_function(&lanewise::set_forked));
  report_lack_of_memory(m);
}
