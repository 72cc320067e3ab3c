// The arrays of one call of a network, checked.
#pragma once
#include "bindings/arrays.h"
#include "engine/network.h"

namespace lanewise {

// Ids outside a table would read memory outside it: refused before anything runs.
inline void check_ids(const Network& network, std::span<const Source> inputs, const uint32_t* order, int64_t start,
                      int64_t stop) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::vector<int64_t>& below = network.ids_below(i);
    double bad = 0;
    int64_t column = 0;
    const int64_t row = below.empty() ? -1 : find_bad_id(inputs[i], order, start, stop, below, &bad, &column);
    if (row >= 0)
      throw py::value_error(
          "x: expected whole numbers from 0 to " + std::to_string(below[static_cast<size_t>(column)] - 1) +
          ", the rows of the smallest table that they are looked up in. Received: " + label_text(bad) + " in row " +
          std::to_string(row) + ".");
  }
}

// The arrays of one call with what keeps them alive. Rows and columns are checked; the views stay valid without the
// GIL.
struct CallData {
  Data data;
  std::vector<py::object> keep;
  std::vector<uint32_t> own_order;  // what data.order points at: nobody changes it after it was checked
  int64_t rows = 0;

  CallData(const Network& network, const py::sequence& x) {
    const Graph& graph = network.graph();
    if (x.size() != graph.inputs().size())
      throw py::value_error("x: expected " + std::to_string(graph.inputs().size()) +
                            " input arrays. Received: " + std::to_string(x.size()) + ".");
    for (size_t i = 0; i < x.size(); ++i) {
      const Value& value = graph.value(graph.inputs()[i]);
      data.inputs.push_back(source(x[i], "x", value.rows() * value.cols()));
      rows = data.inputs[0].rows;
      check_rows("x", data.inputs.back().rows);
    }
  }

  Source source(const py::object& object, const std::string& name, int64_t cols) {
    py::object copy;
    const Source s = source_view(object, name, cols, copy);
    keep.push_back(copy ? std::move(copy) : object);
    return s;
  }
  void check_rows(const std::string& name, int64_t n) const {
    if (n != rows)
      throw py::value_error(name + ": expected " + std::to_string(rows) +
                            " rows, as x has. Received: " + std::to_string(n) + ".");
  }

  // Everything beside x that a pass over rows start to stop of the order reads. start and stop become those of
  // data.order, which has no more than these.
  void pass(const Network& network, const py::sequence& y, const py::object& sample_weight, const py::object& given,
            int64_t& start, int64_t& stop, bool weights_in_order = false) {
    order(given, start, stop);
    targets(network, y, sample_weight, weights_in_order ? start : -1, stop);
    check_ids(network, start, stop);
    check_labels(network, start, stop);
  }

  // sample_weight: None, one array for all targets, or a list with an array or None for each; of all rows, or of those
  // between start and stop of the order.
  void targets(const Network& network, const py::sequence& y, const py::object& sample_weight, int64_t start,
               int64_t stop) {
    data.weights_from = start;
    const int64_t weighed = start < 0 ? rows : stop - start;
    const auto& targets = network.input().targets;
    if (y.size() != targets.size())
      throw py::value_error("y: expected " + std::to_string(targets.size()) +
                            " target arrays, one for each loss. Received: " + std::to_string(y.size()) + ".");
    for (size_t i = 0; i < y.size(); ++i) {
      const Value& value = network.graph().value(targets[i].value);
      const int64_t like = value.rows() * targets[i].cols(value.cols());
      data.targets.push_back(source(y[i], "y", targets[i].width > 0 ? targets[i].width : like));
      check_rows("y", data.targets.back().rows);
    }
    if (sample_weight.is_none()) return;
    if (targets.empty()) throw py::value_error("sample_weight: expected a network with a loss.");
    const bool each = PyList_Check(sample_weight.ptr()) || PyTuple_Check(sample_weight.ptr());
    const py::ssize_t given = each ? PySequence_Size(sample_weight.ptr()) : 1;
    if (each && given != static_cast<py::ssize_t>(targets.size()))
      throw py::value_error("sample_weight: expected " + std::to_string(targets.size()) +
                            " entries, one for each target. Received: " + std::to_string(given) + ".");
    for (size_t i = 0; i < targets.size(); ++i)
      data.weights.push_back(
          i > 0 && !each ? data.weights[0]
                         : weights(network, targets[i], weighed,
                                   each ? py::reinterpret_borrow<py::sequence>(sample_weight)[i] : sample_weight));
  }

  const float* weights(const Network& network, const TargetSpec& target, int64_t weighed, const py::object& given) {
    if (given.is_none()) return nullptr;
    py::object copy;
    const ArrayView w = contiguous_input(given, "sample_weight", copy);
    if (w.ndim != 1 || w.shape[0] != weighed)
      throw py::value_error("sample_weight: expected shape (" + std::to_string(weighed) +
                            ",). Received: " + describe_array(w) + ".");
    if (network.graph().value(target.value).rows() != 1)
      throw py::value_error("sample_weight: expected targets with one row a sample.");
    keep.push_back(given);
    keep.push_back(copy);
    return w.floats();
  }

  void order(const py::object& given, int64_t& start, int64_t& stop) {
    if (start < 0 || stop < start || (given.is_none() && stop > rows))
      throw py::value_error("start, stop: expected a range within the " + std::to_string(rows) +
                            " rows. Received: " + std::to_string(start) + ", " + std::to_string(stop) + ".");
    if (given.is_none()) return;
    const ArrayView v = array_view(given, "order");
    if (v.type_num != 6 || !v.contiguous() || v.ndim != 1 || v.shape[0] < stop)
      throw py::value_error(
          "order: expected a contiguous uint32 array that covers start to stop. Received: " + describe_array(v) + ".");
    const auto* index = reinterpret_cast<const uint32_t*>(v.data);
    own_order.assign(index + start, index + stop);
    for (const uint32_t row : own_order)
      if (row >= rows)
        throw py::value_error("order: expected row numbers below " + std::to_string(rows) +
                              ". Received: " + std::to_string(row) + ".");
    data.order = own_order.data();
    stop -= start;
    start = 0;
  }

  void check_ids(const Network& network, int64_t start, int64_t stop) const {
    lanewise::check_ids(network, data.inputs, data.order, start, stop);
  }

  // Labels outside the outputs would index memory outside the row: refused before anything runs.
  void check_labels(const Network& network, int64_t start, int64_t stop) const {
    constexpr int64_t kChunk = 512;
    int32_t labels[kChunk];
    for (size_t i = 0; i < data.targets.size(); ++i) {
      const TargetSpec& target = network.input().targets[i];
      if (!target.labels) continue;
      const int64_t classes = network.graph().value(target.value).cols();
      Source s = data.targets[i];
      for (int64_t c = 0; c < s.cols; ++c) {
        Source column = s;
        column.cols = 1;
        column.data += c * s.col_stride;
        for (int64_t at = start; at < stop; at += kChunk) {
          double bad = 0;
          if (!gather_labels(column, data.order, at, 0, std::min(kChunk, stop - at), classes, labels, &bad))
            throw py::value_error("y: expected labels from 0 to " + std::to_string(classes - 1) + " (the output has " +
                                  std::to_string(classes) + " units). Received: " + label_text(bad) + ".");
        }
      }
    }
  }
};

}  // namespace lanewise
