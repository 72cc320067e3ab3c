// Operations written in Python, as the engine calls them.
#include "bindings/arrays.h"
#include "bindings/gil.h"
#include "engine/host.h"

namespace lanewise {
namespace {

// function(stage, arrays, training, scale): arrays are views that are valid during the call only, None where there is
// none; the last ones are written to. The function is not held here, where Python's collector could not see what it
// refers to, a model perhaps; who made the Host holds it.
class PythonHost final : public Host {
 public:
  PythonHost(const py::function& function, int64_t width, bool labels) : function_(py::handle(function), py::handle()) {
    target_width = width;
    target_labels = labels;
  }
  ~PythonHost() override {
    const GilHeld held;
    function_.release().dec_ref();
  }

  void call(Stage stage, const std::vector<HostArray>& arrays, bool training, double scale) override {
    static constexpr const char* kNames[] = {"forward", "backward", "gradient", "rows", "slope", "undo"};
    const GilHeld held;
    py::list views;
    for (const HostArray& array : arrays) {
      if (array.data == nullptr)
        views.append(py::none());
      else
        views.append(py::array(py::dtype(array.labels ? "i4" : "f4"), array.shape, array.data, py::none()));
    }
    const py::object function = function_();
    if (function.is_none()) throw std::runtime_error("what this network calls in Python is gone");
    or_stay([&] { function(kNames[static_cast<int>(stage)], views, training, scale); });
  }

 private:
  py::weakref function_;
};

}  // namespace

void register_host(py::module_& m) {
  py::class_<Host, std::shared_ptr<Host>>(m, "Host", py::dynamic_attr())
      .def("__init__",
           made_by(+[](const py::function& function, int64_t target_width, bool target_labels, bool ends_gradient) {
             if (target_width < 0) throw py::value_error("target_width: expected at least 0.");
             std::shared_ptr<Host> host = std::make_shared<PythonHost>(function, target_width, target_labels);
             host->ends_gradient = ends_gradient;
             return host;
           }),
           is_new_style_constructor(), py::arg("function"), py::arg("target_width") = 0,
           py::arg("target_labels") = false, py::arg("ends_gradient") = false);
}

}  // namespace lanewise
