// The extension module: one register function a topic.
#include "bindings/arrays.h"
#include "dispatch/dispatch.h"

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
}
