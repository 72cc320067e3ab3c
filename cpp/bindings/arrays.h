// All array checks of the bindings. A checked view comes out, or an error that names the argument, what was expected
// and what came; nothing is converted behind the user's back.
#pragma once
#include "bindings/python.h"

#include <pybind11/numpy.h>

#include <string>
#include <vector>

#include "engine/source.h"

namespace lanewise {

namespace py = pybind11;

// What NumPy knows of an array, read without creating objects.
struct ArrayView {
  char* data;
  int ndim;
  const py::ssize_t* shape;
  const py::ssize_t* strides;  // bytes
  int flags;
  int type_num;
  bool native;  // byte order of this machine

  int64_t size() const;
  // Elements side by side, and the first where one of its type may stand: C++ reads no float from an odd address.
  bool contiguous() const {
    constexpr int both = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    return (flags & both) == both;
  }
  bool writeable() const { return flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_; }
  float* floats() const { return reinterpret_cast<float*>(data); }
  bool same_shape(const ArrayView& other) const;
};

// TypeError unless it is a NumPy array (of float32, where the name says so).
ArrayView array_view(py::handle object, const char* name);
ArrayView float32_view(py::handle object, const char* name);

// A float32 matrix of any strides, in elements.
struct MatrixView {
  float* data;
  int64_t rows, cols, row_stride, col_stride;
};
// `keep` holds the copy that an array needs which is not aligned, or whose strides are no multiple of 4 bytes.
MatrixView matrix_view(py::handle object, const char* name, py::object& keep);

// An aligned C-contiguous float32 input; a copy (held by keep) where it is not so.
ArrayView contiguous_input(py::handle object, const char* name, py::object& keep);

// A float32, aligned, C-contiguous, writeable array of exactly this shape that shares no memory with the inputs. None:
// a new array. With in_place, an input that is the very same memory is allowed.
py::object output_array(py::handle out, const char* name, const std::vector<py::ssize_t>& shape,
                        std::initializer_list<py::handle> inputs, bool in_place = false);
// As above, aligned too, but rows may lie further apart (an output of matmul).
MatrixView output_matrix(py::handle out, const char* name, int64_t rows, int64_t cols,
                         std::initializer_list<py::handle> inputs);
// A float32, aligned, C-contiguous, writeable array of the same shape as `like`: what an optimizer step changes in
// place.
ArrayView updated_array(py::handle object, const char* name, const ArrayView& like);
// ValueError where two arrays that a call changes, or changes and reads, overlap.
void check_disjoint(py::handle a, const char* a_name, py::handle b, const char* b_name);

// An array of any real type, first axis the rows, the others flattened to `cols`; -1: whatever it has.
Source source_view(py::handle object, const std::string& name, int64_t cols, py::object& keep);

// The parameters of a loss or metric: a number or a sequence of them, padded with zeros to kLeastParams.
std::vector<float> params_of(py::handle given);
py::array_t<float> new_array(const std::vector<py::ssize_t>& shape, py::handle type = {});
py::array_t<double> sums_array(const std::vector<double>& sums);
// A label as the user wrote it: a whole number without a point.
std::string label_text(double label);
std::string describe_array(const ArrayView& view);  // "float64 array of shape (3, 4)"

// Registration, one function a topic.
void register_system(py::module_& m);
void register_lock(py::module_& m);
void register_ops(py::module_& m);
void register_dense_ops(py::module_& m);
void register_loss_ops(py::module_& m);
void register_engine(py::module_& m);
void register_host(py::module_& m);

}  // namespace lanewise
