// Python and pybind11; to be included before anything else of pybind11.
#pragma once
#include <Python.h>

#include <new>

namespace lanewise {

// pybind11 compares the keywords of a call with names that it interns, and takes one that there was no memory for as a
// string (3.0, cpp_function::keyword_index).
inline PyObject* interned(const char* text) {
  PyObject* name = PyUnicode_InternFromString(text);
  if (name != nullptr) return name;
  PyErr_Clear();
  throw std::bad_alloc();
}

}  // namespace lanewise

#define PyUnicode_InternFromString(text) lanewise::interned(text)
#include <pybind11/pybind11.h>
