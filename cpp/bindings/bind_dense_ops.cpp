// Matrix products on NumPy arrays: matmul, dense_forward, dense_backward.
#include <algorithm>
#include <cstring>
#include <optional>

#include "bindings/arrays.h"
#include "bindings/gil.h"
#include "dispatch/dispatch.h"
#include "engine/buffer.h"
#include "engine/execute.h"

namespace lanewise {
namespace {

// Below these, about 6 us of a Zen 5 core and 13 of a Zen 4, one thread is faster. On the latter 96^3 takes 16.4 us on
// one thread, 9.7 on two; 31x1000x31 19.9 and 12.3.
constexpr double kParallelFlops = 1.5e6, kParallelBytes = 1 << 20;
constexpr double kReleaseFlops = 2e5;  // about 1 us
constexpr int64_t kShared = 1 << 16;   // floats of B that each thread may as well read whole
// A vector that would hold few columns of B, among few vectors: those columns go the way of products with few columns.
// 300x17x1000 on two threads of a Zen 4 86 -> 58 us, 33x65x129 on one 6.7 -> 6.2, 2048x24x512 588 -> 493.
constexpr int64_t kVector = 16, kWide = 256;
constexpr int64_t kHeadRows = 16;  // rows of A up to which columns that lie before a cache line go by themselves

// Scratch that a calling thread keeps between calls (freed with the thread), for a team of any size: a product needs up
// to 2.5 MB a thread, and getting that from the system again took a tenth of the time of 1024^3 on two.
float* call_scratch(int64_t each, int threads, Buffer<float>& large) {
  constexpr int64_t kKept = 1 << 20;
  const int64_t floats = checked_product(each, threads);
  if (each > kKept) {
    large = Buffer<float>(floats);
    return large.data();
  }
  // malloc's arenas would keep a megabyte or two of each of sixteen threads that ended, where no trim reaches it.
  struct Kept {
    Buffer<float> buffer;
    ~Kept() { buffer.give_back_pages(); }
  };
  thread_local Kept kept;
  if (kept.buffer.size() < floats) kept.buffer = Buffer<float>(floats);
  return kept.buffer.data();
}

// Whether threads share column panels of C: not where C is most of what moves, whose columns would share cache lines,
// nor where rows come out evener: 101x203x307 on two threads of a Zen 4, 128 columns and 75. Nor where B is small: a
// line of each row of C would belong to both, for NumPy's arrays begin 16 bytes after one. Two threads of an Emerald
// Rapids, by columns and by rows: 48x48x48 6.0 and 3.0 us, 96x96x96 22.7 and 14.7, 128x128x128 39 and 32, 192x192x192
// 112 and 80, 600x96x600 478 and 327, 256x256x256 A^T 208 and 175; but 64x512x512 178 and 210, 128x784x512 B^T 536 and
// 602.
bool by_columns(const Matmul& mm, int threads) {
  const int64_t columns = std::min((panel_count(mm.n) + threads - 1) / threads * kPanel, mm.n);
  const int64_t rows = (mm.m + threads - 1) / threads;
  if (rows >= kTileRows / 2 && 10 * columns * mm.m > 11 * rows * mm.n) return false;
  const bool small_b = mm.k * mm.n <= kShared && mm.m >= kThinRows * threads;
  const bool narrow = mm.n <= kWide && 2 * mm.m >= mm.n;
  const bool by_rows = mm.k <= kFewTerms && (mm.m >= mm.n || (mm.k <= kShortSum && mm.m >= kFewTerms));
  return splits_columns(mm.n, threads) && !by_rows && !(small_b && (narrow || mm.k <= kFewTerms));
}

// Columns before those at which rows of C begin a cache line where sums are short, or rows of B where there are few of
// A: a vector that lies in two lines is two reads, or two writes, and NumPy's arrays begin 16 bytes after a line. On
// one thread of a Zen 4, beyond L2: 1024x1024x16 504 -> 434 us, 3x1000x1000 132 -> 94.
int64_t columns_before_line(const Matmul& mm) {
  constexpr int64_t kSome = 1 << 18;
  if (mm.b_col != 1 || matmul_plan(mm).way == Way::kOuter) return 0;
  if (mm.k <= kFewTerms)
    return mm.n >= 1000 && mm.m * mm.n >= kSome && mm.c_row % kLineFloats == 0 ? floats_before(mm.c, kLineFloats) : 0;
  const bool few = 1 < mm.m && mm.m <= kHeadRows && mm.k * mm.n >= kSome;
  const bool wide = mm.n >= 125 * mm.m && mm.n >= 500 * get_num_threads();
  return few && wide && mm.b_row % (kLineFloats / 2) == 0 ? floats_before(mm.b, kLineFloats) : 0;
}

// mm, and the columns that were taken off it (`rest`, null: none).
void run_product(const Matmul& mm, const Matmul* rest) {
  double flops = 0;
  for (const Matmul* part : {&mm, rest}) {
    if (!part) continue;
    const int64_t lanes = (part->n + kVector - 1) / kVector * kVector;  // a vector that is not full takes as long
    flops += 2.0 * static_cast<double>(part->m) * static_cast<double>(lanes) * static_cast<double>(part->k);
  }
  const int64_t each = (std::max(matmul_scratch(mm), rest ? matmul_scratch(*rest) : 0) + 31) / 16 * 16;
  std::vector<Tail> tails;
  const auto run = [&](int thread, int threads, float* scratch) {
    for (const Matmul* part : {&mm, rest}) {
      if (!part) continue;
      // Few columns of few rows, beside the others, are one thread's, which has the lines of B that hold them.
      const bool whole = part == rest && part->n < kVector && part->m <= kHeadRows;
      Sharing how{whole || by_columns(*part, threads)};
      if (part == &mm && !tails.empty()) how.tails = tails.data();
      run_share(kernels(), *part, how, thread, threads, scratch);
    }
  };
  Buffer<float> large;
  const double bytes = 4.0 * (static_cast<double>(mm.m) * static_cast<double>(mm.k + mm.n) +
                              static_cast<double>(mm.k) * static_cast<double>(mm.n));
  if (flops < kParallelFlops && bytes < kParallelBytes) {
    float* scratch = call_scratch(each, 1, large);
    const FloatEnvironment environment;
    std::optional<GilReleased> release;
    if (flops >= kReleaseFlops) release.emplace();
    return run(0, 1, scratch);
  }
  const TeamShare team(get_num_threads());
  float* scratch = call_scratch(each, team.count(), large);
  if (has_tails(mm, {by_columns(mm, team.count())}, team.count()))
    tails = std::vector<Tail>(static_cast<size_t>(team.count()));
  GilReleased release;
  run_team(team.count(), [&](int thread, int threads) { run(thread, threads, scratch + thread * each); });
}

struct StoreContext {
  ActivationForward activation;
  const float* bias;
  MatrixView out;
};
void store(const void* context, float* t, int64_t i, int64_t j, int64_t rows, int64_t cols) {
  const auto& c = *static_cast<const StoreContext*>(context);
  c.activation(t, cols, c.bias ? c.bias + j : nullptr, c.out.data + i * c.out.row_stride + j, c.out.row_stride, rows,
               cols, {});
}

Matmul product_of(const MatrixView& a, const MatrixView& b) {
  Matmul mm{};
  mm.m = a.rows, mm.n = b.cols, mm.k = a.cols;
  mm.a = a.data, mm.a_row = a.row_stride, mm.a_col = a.col_stride;
  mm.b = b.data, mm.b_row = b.row_stride, mm.b_col = b.col_stride;
  return mm;
}

// Whether the last columns, which do not fill a vector, are a product of their own, C^T = B^T·A^T, that reads A once
// more. Where B is copied as wide as a panel that costs more if there are many of them, or if A comes from L3: one
// thread of an Emerald Rapids, split and whole: 300x17x1000 102 and 122 us, 300x24x1000 127 and 122, 2048x24x512 889
// and 582, 2048x17x512 668 and 560.
bool takes_rest_off(const Matmul& mm, int64_t extra) {
  if (extra == 0 || extra > kDotRows || mm.n < kVector || mm.n >= kWide) return false;
  return !matmul_plan(mm).pad_b || (extra <= kDotRows / 2 && mm.m * mm.k < 2 * kFetchFloats);
}

void multiply(const MatrixView& a, const MatrixView& b, ActivationForward activation, const float* bias,
              const MatrixView& out) {
  if (a.rows == 0 || b.cols == 0) return;
  Matmul mm = product_of(a, b);
  const StoreContext context{activation, bias, out};
  mm.epilogue = store;
  mm.context = &context;
  if (bias == nullptr && activation == kernels().linear_forward && mm.n > 1) {
    mm.c = out.data, mm.c_row = out.row_stride, mm.c_col = 1;
    if (is_swapped(mm)) {
      mm = swapped(mm);
    } else if (const int64_t extra = mm.n % kVector; takes_rest_off(mm, extra)) {
      Matmul rest = mm;
      rest.n = extra;
      rest.b += (mm.n - extra) * mm.b_col;
      rest.c += mm.n - extra;
      if (is_swapped(rest)) {
        mm.n -= extra;
        rest = swapped(rest);
        return run_product(mm, &rest);
      }
    } else if (const int64_t lead = columns_before_line(mm); lead > 1) {  // one column would have bits of its own
      Matmul rest = mm;
      rest.n = lead;
      mm.n -= lead, mm.b += lead, mm.c += lead;
      return run_product(mm, &rest);
    }
  }
  run_product(mm, nullptr);
}

std::string shape_text(const MatrixView& v) {
  return "(" + std::to_string(v.rows) + ", " + std::to_string(v.cols) + ")";
}

py::object matmul(py::handle a, py::handle b, py::handle out) {
  py::object keep_a, keep_b;
  const MatrixView av = matrix_view(a, "a", keep_a), bv = matrix_view(b, "b", keep_b);
  if (av.cols != bv.rows)
    throw py::value_error("a, b: expected as many columns in a as rows in b. Received shapes " + shape_text(av) +
                          " and " + shape_text(bv) + ".");
  py::object result =
      out.is_none() ? py::object(new_array({av.rows, bv.cols})) : py::reinterpret_borrow<py::object>(out);
  const MatrixView cv = output_matrix(result, "out", av.rows, bv.cols, {a, b});
  multiply(av, bv, kernels().linear_forward, nullptr, cv);
  return result;
}

struct Activation {
  Op op;
  bool softmax;
};
Activation activation_named(const std::string& name) {
  for (Op op : {Op::kLinear, Op::kRelu, Op::kSigmoid, Op::kTanh})
    if (name == op_name(op)) return {op, false};
  if (name == "softmax") return {Op::kLinear, true};
  throw py::value_error("activation: expected linear, relu, sigmoid, tanh or softmax. Received: '" + name + "'.");
}

void check_width(const MatrixView& x, const MatrixView& kernel) {
  if (x.cols != kernel.rows)
    throw py::value_error("x, kernel: expected as many columns in x as rows in kernel. Received shapes " +
                          shape_text(x) + " and " + shape_text(kernel) + ".");
}

[[gnu::cold]] py::object dense_forward(py::handle x, py::handle kernel, py::handle bias, const std::string& activation,
                                       py::handle out) {
  py::object keep_x, keep_w, keep_b;
  const MatrixView xv = matrix_view(x, "x", keep_x), wv = matrix_view(kernel, "kernel", keep_w);
  check_width(xv, wv);
  const Activation act = activation_named(activation);
  const float* b = nullptr;
  if (!bias.is_none()) {
    const ArrayView v = contiguous_input(bias, "bias", keep_b);
    if (v.ndim != 1 || v.shape[0] != wv.cols)
      throw py::value_error("bias: expected shape (" + std::to_string(wv.cols) + ",). Received: " + describe_array(v) +
                            ".");
    b = v.floats();
  }
  py::object result =
      out.is_none() ? py::object(new_array({xv.rows, wv.cols})) : py::reinterpret_borrow<py::object>(out);
  const MatrixView yv = output_matrix(result, "out", xv.rows, wv.cols, {x, kernel, bias});
  const auto& table = kernels();
  multiply(xv, wv, activation_forward(table, act.op), b, yv);
  if (act.softmax && yv.cols > 0) {
    const FloatEnvironment environment;
    table.softmax_forward(yv.data, yv.row_stride, yv.data, yv.row_stride, yv.rows, yv.cols);
  }
  return result;
}

// dZ = dY * act'(Y); dX = dZ·W^T; dW = X^T·dZ; db = column sums of dZ.
[[gnu::cold]] py::tuple dense_backward(py::handle dy, py::handle x, py::handle kernel, py::handle y,
                                       const std::string& activation, py::handle out) {
  py::object keep_dy, keep_x, keep_w, keep_y;
  const MatrixView xv = matrix_view(x, "x", keep_x), wv = matrix_view(kernel, "kernel", keep_w);
  check_width(xv, wv);
  const Activation act = activation_named(activation);
  const ArrayView g = contiguous_input(dy, "dy", keep_dy), v = contiguous_input(y, "y", keep_y);
  for (const auto& [view, name] : {std::pair{&g, "dy"}, std::pair{&v, "y"}})
    if (view->ndim != 2 || view->shape[0] != xv.rows || view->shape[1] != wv.cols)
      throw py::value_error(std::string(name) + ": expected shape (" + std::to_string(xv.rows) + ", " +
                            std::to_string(wv.cols) + "). Received: " + describe_array(*view) + ".");
  py::object dx, dw, db;
  if (out.is_none()) {
    dx = new_array({xv.rows, xv.cols}), dw = new_array({wv.rows, wv.cols}), db = new_array({wv.cols});
  } else {
    if (!py::isinstance<py::tuple>(out) || py::len(out) != 3)
      throw py::type_error("out: expected a tuple of three arrays (dx, dkernel, dbias).");
    const auto given = py::reinterpret_borrow<py::tuple>(out);
    dx = given[0], dw = given[1], db = given[2];
    check_disjoint(dx, "out[0]", dw, "out[1]");
    check_disjoint(dx, "out[0]", db, "out[2]");
    check_disjoint(dw, "out[1]", db, "out[2]");
  }
  const MatrixView dxv = output_matrix(dx, "out[0]", xv.rows, xv.cols, {dy, x, kernel, y});
  const MatrixView dwv = output_matrix(dw, "out[1]", wv.rows, wv.cols, {dy, x, kernel, y});
  const py::object db_checked = output_array(db, "out[2]", {wv.cols}, {dy, x, kernel, y});
  const int64_t rows = xv.rows, cols = wv.cols;
  Buffer<float> dz(rows * cols);
  const auto& table = kernels();
  {
    const FloatEnvironment environment;
    if (act.softmax)
      table.softmax_backward(g.floats(), cols, v.floats(), cols, dz.data(), cols, rows, cols);
    else
      activation_backward(table, act.op)(g.floats(), cols, v.floats(), cols, dz.data(), cols, rows, cols, {});
    table.column_sum(dz.data(), cols, float32_view(db_checked, "out[2]").floats(), rows, cols);
  }
  const MatrixView dzv{dz.data(), rows, cols, cols, 1};
  const MatrixView transposed_w{wv.data, wv.cols, wv.rows, wv.col_stride, wv.row_stride};
  const MatrixView transposed_x{xv.data, xv.cols, xv.rows, xv.col_stride, xv.row_stride};
  multiply(dzv, transposed_w, table.linear_forward, nullptr, dxv);
  multiply(transposed_x, dzv, table.linear_forward, nullptr, dwv);
  return py::make_tuple(dx, dw, db);
}

}  // namespace

[[gnu::cold]] void register_dense_ops(py::module_& m) {
  m.def("matmul", &matmul, py::arg("a"), py::arg("b"), py::arg("out") = py::none(),
        "The product of matrices (m, k) and (k, n), of any strides. out: (m, n), where the result goes.");
  m.def("dense_forward", &dense_forward, py::arg("x"), py::arg("kernel"), py::arg("bias") = py::none(),
        py::arg("activation") = "linear", py::arg("out") = py::none(),
        "y = activation(x * kernel + bias) of x (n, k), kernel (k, units), bias (units,) or None.\n\n"
        "activation: linear, relu, sigmoid, tanh or softmax. out: (n, units), where y goes.");
  m.def("dense_backward", &dense_backward, py::arg("dy"), py::arg("x"), py::arg("kernel"), py::arg("y"),
        py::arg("activation") = "linear", py::arg("out") = py::none(),
        "(dx, dkernel, dbias) of dense_forward, given dy, the gradient of its y, and y.\n\n"
        "out: three arrays of the shapes of x, kernel and bias, where they go.");
}

}  // namespace lanewise
