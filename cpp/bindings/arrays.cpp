#include "bindings/arrays.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace lanewise {
namespace {

std::string shape_text(int ndim, const py::ssize_t* shape) {
  std::string text = "(";
  for (int i = 0; i < ndim; ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (ndim == 1 ? ",)" : ")");
}

std::string type_name(py::handle object) { return py::str(py::type::handle_of(object).attr("__name__")); }

std::string dtype_name(int type_num) { return py::str(py::dtype(type_num).attr("name")); }

// Lowest and one past the highest byte that an array touches.
std::pair<const char*, const char*> extent(const ArrayView& v, int64_t item) {
  const char *low = v.data, *high = v.data + item;
  for (int i = 0; i < v.ndim; ++i) {
    if (v.shape[i] == 0) return {v.data, v.data};
    const int64_t span = (v.shape[i] - 1) * v.strides[i];
    (span < 0 ? low : high) += span;
  }
  return {low, high};
}

bool overlap(const ArrayView& a, const ArrayView& b) {
  const auto [a0, a1] = extent(a, 4);
  using Api = py::detail::npy_api;
  const bool wide = b.type_num >= Api::NPY_LONG_ && b.type_num != Api::NPY_FLOAT_;  // labels
  const auto [b0, b1] = extent(b, wide ? 8 : 4);
  return a0 < b1 && b0 < a1;
}

[[noreturn]] void value_error(const std::string& text) { throw py::value_error(text); }

void check_output(const ArrayView& v, const char* name, std::initializer_list<py::handle> inputs, bool in_place) {
  if (!v.writeable()) value_error(std::string(name) + ": expected a writeable array. Received a read-only one.");
  for (py::handle input : inputs) {
    if (!input || input.is_none()) continue;
    const ArrayView in = array_view(input, "input");
    const bool same = in.data == v.data && in.same_shape(v) && in.contiguous() && v.contiguous();
    if (overlap(v, in) && !(in_place && same))
      value_error(std::string(name) + ": expected memory of its own. Received an array that overlaps an input" +
                  (in_place ? " (only the very same array is allowed)." : "."));
  }
}

}  // namespace

int64_t ArrayView::size() const {
  int64_t n = 1;
  for (int i = 0; i < ndim; ++i) n *= shape[i];
  return n;
}

bool ArrayView::same_shape(const ArrayView& other) const {
  return ndim == other.ndim && std::equal(shape, shape + ndim, other.shape);
}

ArrayView array_view(py::handle object, const char* name) {
  auto& api = py::detail::npy_api::get();
  if (!object || !api.PyArray_Check_(object.ptr()))
    throw py::type_error(std::string(name) + ": expected a NumPy array. Received: " +
                         (object ? type_name(object) : std::string("nothing")) + ".");
  // A subclass is taken as the memory it stands on, but for masked arrays: what they hide is no data.
  if (py::type::handle_of(object).ptr() != reinterpret_cast<PyObject*>(api.PyArray_Type_) &&
      PyObject_HasAttrString(object.ptr(), "_mask") == 1)
    throw py::type_error(std::string(name) +
                         ": expected an array without a mask. Received: MaskedArray. Fill it first: " + name +
                         ".filled(0).");
  const auto* a = py::detail::array_proxy(object.ptr());
  const auto* descr = py::detail::array_descriptor_proxy(a->descr);
  return {a->data, a->nd, a->dimensions, a->strides, a->flags, descr->type_num, descr->byteorder != '>'};
}

std::string label_text(double label) {
  const bool whole = label == std::floor(label) && std::fabs(label) < 0x1p63;
  return whole ? std::to_string(static_cast<int64_t>(label)) : std::to_string(label);
}

std::string describe_array(const ArrayView& v) {
  return dtype_name(v.type_num) + " array of shape " + shape_text(v.ndim, v.shape);
}

ArrayView float32_view(py::handle object, const char* name) {
  const ArrayView v = array_view(object, name);
  if (v.type_num != py::detail::npy_api::NPY_FLOAT_ || !v.native)
    throw py::type_error(std::string(name) + ": expected float32. Received: " + describe_array(v) +
                         (v.native ? "" : " (foreign byte order)") + ". Convert it first: " + name +
                         ".astype(numpy.float32).");
  return v;
}

namespace {
py::object contiguous_copy(py::handle object) {  // numpy.ascontiguousarray leaves an unaligned array where it is
  return py::module_::import("numpy").attr("array")(object, py::arg("order") = "C");
}
bool unaligned(const ArrayView& v) { return reinterpret_cast<uintptr_t>(v.data) % 4 != 0; }
}  // namespace

MatrixView matrix_view(py::handle object, const char* name, py::object& keep) {
  ArrayView v = float32_view(object, name);
  if (v.ndim != 2) value_error(std::string(name) + ": expected 2 axes. Received: " + describe_array(v) + ".");
  if (v.strides[0] % 4 != 0 || v.strides[1] % 4 != 0 || unaligned(v)) {
    keep = contiguous_copy(object);
    v = float32_view(keep, name);
  }
  return {v.floats(), v.shape[0], v.shape[1], v.strides[0] / 4, v.strides[1] / 4};
}

ArrayView contiguous_input(py::handle object, const char* name, py::object& keep) {
  const ArrayView v = float32_view(object, name);
  if (v.contiguous()) return v;
  keep = contiguous_copy(object);
  return float32_view(keep, name);
}

py::array_t<float> new_array(const std::vector<py::ssize_t>& shape, py::handle type) {
  // py::array_t(shape) works out strides first, in vectors of its own.
  auto& api = py::detail::npy_api::get();
  PyObject* array = api.PyArray_NewFromDescr_(
      type ? reinterpret_cast<PyTypeObject*>(type.ptr()) : api.PyArray_Type_, py::dtype::of<float>().release().ptr(),
      static_cast<int>(shape.size()), reinterpret_cast<const Py_intptr_t*>(shape.data()), nullptr, nullptr, 0, nullptr);
  if (array == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::array_t<float>>(array);
}
py::array_t<double> sums_array(const std::vector<double>& sums) {
  py::array_t<double> array(static_cast<py::ssize_t>(sums.size()));  // not from data: a copy that fails is a null
  std::copy(sums.begin(), sums.end(), array.mutable_data());
  return array;
}

py::object output_array(py::handle out, const char* name, const std::vector<py::ssize_t>& shape,
                        std::initializer_list<py::handle> inputs, bool in_place) {
  if (!out || out.is_none()) return new_array(shape);
  const ArrayView v = float32_view(out, name);
  if (v.ndim != static_cast<int>(shape.size()) || !std::equal(shape.begin(), shape.end(), v.shape))
    value_error(std::string(name) + ": expected shape " + shape_text(static_cast<int>(shape.size()), shape.data()) +
                ". Received: " + describe_array(v) + ".");
  if (!v.contiguous()) value_error(std::string(name) + ": expected an aligned C-contiguous array.");
  check_output(v, name, inputs, in_place);
  return py::reinterpret_borrow<py::object>(out);
}

MatrixView output_matrix(py::handle out, const char* name, int64_t rows, int64_t cols,
                         std::initializer_list<py::handle> inputs) {
  const ArrayView v = float32_view(out, name);
  if (v.ndim != 2 || v.shape[0] != rows || v.shape[1] != cols) {
    const py::ssize_t wanted[] = {rows, cols};
    value_error(std::string(name) + ": expected shape " + shape_text(2, wanted) + ". Received: " + describe_array(v) +
                ".");
  }
  const bool empty = rows == 0 || cols == 0;
  const bool rows_apart = rows <= 1 || (v.strides[0] >= 4 * cols && v.strides[0] % 4 == 0);
  if (!empty && ((cols > 1 && v.strides[1] != 4) || !rows_apart || unaligned(v)))
    value_error(std::string(name) +
                ": expected aligned row-major memory: neighbouring columns 4 bytes apart, rows that do not overlap.");
  check_output(v, name, inputs, false);
  return {v.floats(), rows, cols, rows <= 1 ? std::max<int64_t>(cols, 1) : v.strides[0] / 4, 1};
}

ArrayView updated_array(py::handle object, const char* name, const ArrayView& like) {
  const ArrayView v = float32_view(object, name);
  if (!v.same_shape(like))
    value_error(std::string(name) + ": expected shape " + shape_text(like.ndim, like.shape) +
                ". Received: " + describe_array(v) + ".");
  if (!v.contiguous())
    value_error(std::string(name) + ": expected an aligned C-contiguous array: it is changed in place.");
  if (!v.writeable()) value_error(std::string(name) + ": expected a writeable array. Received a read-only one.");
  return v;
}

void check_disjoint(py::handle a, const char* a_name, py::handle b, const char* b_name) {
  if (overlap(array_view(a, a_name), array_view(b, b_name)))
    value_error(std::string(a_name) + " and " + b_name + ": expected arrays with memory of their own. They overlap.");
}

Source source_view(py::handle object, const std::string& name, int64_t cols, py::object& keep) {
  ArrayView v = array_view(object, name.c_str());
  Source s;
  using enum DType;
  constexpr bool wide = sizeof(long) == 8;
  // By NumPy's numbers of types, where long stands between int and long long; float16 is 23.
  constexpr DType kTypes[] = {
      kBool,  kInt8,   kUInt8,   kInt16,  kUInt16, kInt32, kUInt32, wide ? kInt64 : kInt32, wide ? kUInt64 : kUInt32,
      kInt64, kUInt64, kFloat32, kFloat64};
  const bool half = v.type_num == 23;
  if (!half && (v.type_num < 0 || v.type_num >= static_cast<int>(std::size(kTypes))))
    throw py::type_error(
        name + ": expected numbers (bool, integers or floats up to float64). Received: " + describe_array(v) + ".");
  s.dtype = half ? kFloat16 : kTypes[v.type_num];
  if (!v.native)
    throw py::type_error(name + ": expected this machine's byte order. Received: " + describe_array(v) + ".");
  if (v.ndim < 1) value_error(name + ": expected rows along the first axis. Received: " + describe_array(v) + ".");
  int64_t inner = 1;
  for (int i = 1; i < v.ndim; ++i) inner *= v.shape[i];
  // The bytes between neighbours in a row. An axis of one element has no neighbours: its stride means nothing, and
  // NumPy puts anything there (0 for x[..., None]).
  auto neighbours = [](const ArrayView& a) -> int64_t {
    for (int i = a.ndim - 1; i >= 1; --i)
      if (a.shape[i] != 1) return a.strides[i];
    return 0;
  };
  if (cols >= 0 && inner != cols)
    value_error(name + ": expected " + std::to_string(cols) + " values a row. Received: " + describe_array(v) + ".");
  if (v.ndim > 2) {  // the inner axes must be one run of memory
    int64_t run = neighbours(v);
    bool flat = true;
    for (int i = v.ndim - 1; i >= 1; --i) {
      if (v.shape[i] == 1) continue;
      flat &= v.strides[i] == run;
      run *= v.shape[i];
    }
    if (!flat) {
      keep = contiguous_copy(object);
      v = array_view(keep, name.c_str());
    }
  }
  s.data = v.data;
  s.rows = v.shape[0];
  s.cols = inner;
  s.row_stride = v.strides[0];
  s.col_stride = inner == 1 && s.dtype == DType::kFloat32 ? 4 : neighbours(v);
  return s;
}

}  // namespace lanewise
