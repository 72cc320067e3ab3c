// Dispatch, threads, random streams.
#include "bindings/python.h"

#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/gil.h"
#include "dispatch/dispatch.h"
#include "engine/fma_peak.h"
#include "engine/loss_kernels.h"
#include "engine/quota.h"
#include "engine/random.h"
#include "engine/team.h"

namespace lanewise {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "Clang " __clang_version__;
#else
constexpr const char* kCompiler = "GCC " __VERSION__;
#endif

int64_t checked_count(int64_t n) {
  if (n < 0) throw py::value_error("n: expected at least 0. Received: " + std::to_string(n) + ".");
  return n;
}

PhiloxKey checked_key(uint64_t seed, uint64_t step, uint32_t stream, uint32_t node) {
  if (stream >= 0x8000u)
    throw py::value_error("stream: expected less than 32768. Received: " + std::to_string(stream) + ".");
  if (node > 0xFFFFu) throw py::value_error("node: expected less than 65536. Received: " + std::to_string(node) + ".");
  return {seed, step, stream, node};
}

}  // namespace

void register_system(py::module_& m) {
  m.def("available_isas", &available_isas);
  m.def("compiled_isas", &compiled_isas);
  m.def("active_isa", [] { return std::string(kernels().isa); });
  m.def("use_isa", &use_isa, py::arg("name"));
  m.def("get_num_threads", &get_num_threads);
  m.def("set_num_threads", &set_num_threads, py::arg("n"));
  m.def("limit_threads", &limit_threads, py::arg("n"));
  m.def("set_always_team", &set_always_team, py::arg("always"));
  m.def("cgroup_cpus", &cgroup_cpus, py::arg("root") = "");
  m.def(
      "fma_peak",
      [](int threads) {
        if (threads < 1)
          throw py::value_error("threads: expected at least 1. Received: " + std::to_string(threads) + ".");
        const GilReleased release;
        return fma_peak(threads);
      },
      py::arg("threads"));
  m.def("kernel_names", &kernel_names);
  m.def("loss_names", &loss_names);
  m.def("build_info", [] {
    py::dict info;
    info["version"] = LW_VERSION;
    info["compiler"] = kCompiler;
    info["thread_runtime"] = thread_runtime();
    info["isas_compiled"] = compiled_isas();
    info["isas_available"] = available_isas();
    info["isa"] = kernels().isa;
    info["threads"] = get_num_threads();
    info["cpu"] = cpu_name();
    return info;
  });
  m.def(
      "random_uniform",
      [](uint64_t seed, uint32_t stream, uint64_t step, uint32_t node, int64_t n) {
        py::array_t<double> out(checked_count(n));
        double* data = out.mutable_data();
        random_uniform(checked_key(seed, step, stream, node), n, data);
        return out;
      },
      py::arg("seed"), py::arg("stream"), py::arg("step"), py::arg("node"), py::arg("n"));
  m.def(
      "random_normal",
      [](uint64_t seed, uint32_t stream, uint64_t step, uint32_t node, int64_t n, double lower, double upper) {
        if (!(upper - lower >= 0.1) || upper < -3 || lower > 3)  // values are drawn until one lies between
          throw py::value_error("lower, upper: expected lower + 0.1 <= upper, and some of (-3, 3) between them.");
        py::array_t<double> out(checked_count(n));
        double* data = out.mutable_data();
        const PhiloxKey key = checked_key(seed, step, stream, node);
        const GilReleased release;
        random_normal(key, n, lower, upper, data);
        return out;
      },
      py::arg("seed"), py::arg("stream"), py::arg("step"), py::arg("node"), py::arg("n"),
      py::arg("lower") = -std::numeric_limits<double>::infinity(),
      py::arg("upper") = std::numeric_limits<double>::infinity());
  m.def(
      "permutation",
      [](uint64_t seed, uint64_t step, int64_t n) {
        if (n >= (int64_t{1} << 32)) throw py::value_error("n: expected fewer than 2**32 rows.");
        py::array_t<uint32_t> out(checked_count(n));
        uint32_t* data = out.mutable_data();
        {
          GilReleased release;
          permutation(seed, step, n, data, [] {
            const GilHeld gil;
            if (PyErr_CheckSignals() != 0) throw py::error_already_set();
          });
        }
        return out;
      },
      py::arg("seed"), py::arg("step"), py::arg("n"));
  m.def(
      "column_moments",
      [](py::handle x) {
        py::object keep;
        const Source source = source_view(x, "x", -1, keep);
        if (source.rows < 1) throw py::value_error("x: expected at least one row. Received none.");
        py::array_t<double> mean(source.cols), variance(source.cols);
        double *mean_data = mean.mutable_data(), *variance_data = variance.mutable_data();
        {
          GilReleased release;
          column_moments(source, mean_data, variance_data);
        }
        return py::make_tuple(mean, variance);
      },
      py::arg("x"));
}

}  // namespace lanewise
