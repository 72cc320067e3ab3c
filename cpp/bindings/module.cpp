// The extension module: one register function a topic.
#include "bindings/arrays.h"
#include "dispatch/dispatch.h"
#include "engine/team.h"

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
}
