// Python and pybind11; to be included before anything else of pybind11.
#pragma once
#include <Python.h>

#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <new>
#include <utility>

namespace lanewise {

// pybind11 compares the keywords of a call with names that it interns anew in each call, and takes one that there was
// no memory for as a string (3.0, cpp_function::keyword_index). Names are kept here, by where their text stands: one
// `out=` took 130 of the 420 ns of a small product.
inline PyObject* interned(const char* text) {
  struct Known {
    const char* text;
    PyObject* name;
  };
  static Known known[32];  // under the GIL
  Known& kept = known[reinterpret_cast<uintptr_t>(text) / alignof(std::max_align_t) % std::size(known)];
  if (kept.text == text && std::strcmp(PyUnicode_AsUTF8(kept.name), text) == 0) return Py_NewRef(kept.name);
  PyObject* name = PyUnicode_InternFromString(text);
  if (name == nullptr) {
    PyErr_Clear();
    throw std::bad_alloc();
  }
  Py_XDECREF(kept.name);
  kept = {text, Py_NewRef(name)};
  return name;
}

}  // namespace lanewise

#define PyUnicode_InternFromString(text) lanewise::interned(text)
#include <pybind11/pybind11.h>

namespace lanewise {

// For .def("__init__", made_by(make), is_new_style_constructor(), ...): make returns the holder. py::init<...>
// registers what it made where nobody catches a bad_alloc; a factory's holder and the object's value would both be
// freed by one.
template <class Holder, class... A>
auto made_by(Holder (*make)(A...)) {
  return [make](pybind11::detail::value_and_holder& self, A... arguments) {
    Holder holder = make(std::forward<A>(arguments)...);
    self.value_ptr() = holder.get();
    try {
      self.type->init_instance(self.inst, &holder);
    } catch (...) {
      self.value_ptr() = nullptr;
      throw;
    }
  };
}
using pybind11::detail::is_new_style_constructor;

}  // namespace lanewise
