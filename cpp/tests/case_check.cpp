// The random cases of every kernel on the active ISA, and faults that show that they can fail.
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cases.h"

namespace lanewise {
namespace {

void all_cases(Cases& cases) {
  activation_cases(cases);
  layer_cases(cases);
  loss_cases(cases);
  optimizer_cases(cases);
  product_cases(cases);
}

// --- faults, planted in a kernel that calls the right one ------------------------------------------------------------

const KernelTable* g_right;
volatile float g_read;
float without_nan(float x) { return x == x ? x : 0; }
template <class F>
void each(float* y, int64_t ldy, int64_t rows, int64_t cols, F change) {
  for (int64_t i = 0; i < rows * cols; ++i) change(y[i / cols * ldy + i % cols]);
}

const struct {
  const char *what, *kernel;
  void (*plant)(KernelTable&);
} kFaults[] = {
    {"reads past the end", "relu_forward",
     [](KernelTable& t) {
       t.relu_forward = [](const float* x, int64_t ldx, const float* b, float* y, int64_t ldy, int64_t rows,
                           int64_t cols, const ActivationArgs& a) {
         g_read = x[(rows - 1) * ldx + cols];
         g_right->relu_forward(x, ldx, b, y, ldy, rows, cols, a);
       };
     }},
    {"reads before the start", "row_sum",
     [](KernelTable& t) {
       t.row_sum = [](const float* x, int64_t ldx, float* out, int64_t rows, int64_t cols) {
         g_read = x[-1];
         g_right->row_sum(x, ldx, out, rows, cols);
       };
     }},
    {"writes past the end", "add_forward",
     [](KernelTable& t) {
       t.add_forward = [](const float* a, const float* b, float* y, int64_t n) {
         g_right->add_forward(a, b, y, n);
         y[n] = 0;
       };
     }},
    {"writes between rows", "softmax_forward",
     [](KernelTable& t) {
       t.softmax_forward = [](const float* x, int64_t ldx, float* y, int64_t ldy, int64_t rows, int64_t cols) {
         g_right->softmax_forward(x, ldx, y, ldy, rows, cols);
         if (rows > 1 && ldy > cols) y[cols] = 0;
       };
     }},
    {"writes to an input", "mse_forward",
     [](KernelTable& t) {
       t.mse_forward = [](const float* p, const float* y, const float* a, float* loss, int64_t rows, int64_t cols) {
         g_right->mse_forward(p, y, a, loss, rows, cols);
         const_cast<float*>(p)[0] += 1;
       };
     }},
    {"reads its output", "column_sum",
     [](KernelTable& t) {
       t.column_sum = [](const float* x, int64_t ldx, float* out, int64_t rows, int64_t cols) {
         const float before = out[0] * 0.0f;
         g_right->column_sum(x, ldx, out, rows, cols);
         out[0] += before;
       };
     }},
    {"leaves the last element of a tail of 15 out", "dot_forward",
     [](KernelTable& t) {
       t.dot_forward = [](const float* a, const float* b, float* y, int64_t rows, int64_t cols) {
         g_right->dot_forward(a, b, y, rows, cols);
         if (cols % 16 == 15) y[0] -= a[cols - 1] * b[cols - 1];
       };
     }},
    {"is 8 units off in lane 5", "sigmoid_forward",
     [](KernelTable& t) {
       t.sigmoid_forward = [](const float* x, int64_t ldx, const float* b, float* y, int64_t ldy, int64_t rows,
                              int64_t cols, const ActivationArgs& a) {
         g_right->sigmoid_forward(x, ldx, b, y, ldy, rows, cols, a);
         if (cols > 5) y[5] *= 1 + 0x1p-20f;
       };
     }},
    {"forgets an epsilon of 1e-7", "adam_step",
     [](KernelTable& t) {
       t.adam_step = [](float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
         OptimizerArgs b = a;
         b.epsilon -= 1e-7f;
         g_right->adam_step(w, g, slots, n, b);
       };
     }},
    {"drops a term of a product at k = 33", "matmul_block",
     [](KernelTable& t) {
       t.matmul_block = [](const Matmul& mm, int64_t i0, int64_t i1, int64_t p0, int64_t p1, float* scratch) {
         Matmul less = mm;
         if (mm.k == 33) less.k = 32;
         g_right->matmul_block(less, i0, i1, p0, p1, scratch);
       };
     }},
    {"reads scratch that it did not write", "matmul_block",
     [](KernelTable& t) {
       t.matmul_block = [](const Matmul& mm, int64_t i0, int64_t i1, int64_t p0, int64_t p1, float* scratch) {
         const float stale = mm.c && matmul_scratch(mm) > 0 ? scratch[0] * 0.0f : 0.0f;
         g_right->matmul_block(mm, i0, i1, p0, p1, scratch);
         if (mm.c) mm.c[i0 * mm.c_row + p0 * kPanel * mm.c_col] += stale;
       };
     }},
    {"treats NaN apart in the last lane of 16", "maximum_forward merging",
     [](KernelTable& t) {
       t.maximum_forward = [](const float* a, const float* b, float* y, int64_t n) {
         g_right->maximum_forward(a, b, y, n);
         if (n >= 16 && y[15] != y[15]) y[15] = b[15];
       };
     }},
    {"lets a NaN into another row", "mae_forward",
     [](KernelTable& t) {
       t.mae_forward = [](const float* p, const float* y, const float* a, float* loss, int64_t rows, int64_t cols) {
         g_right->mae_forward(p, y, a, loss, rows, cols);
         if (rows > 2 && loss[1] != loss[1]) loss[2] = loss[1];
       };
     }},
    {"changes the last bit of the row after a NaN", "mae_forward",
     [](KernelTable& t) {
       t.mae_forward = [](const float* p, const float* y, const float* a, float* loss, int64_t rows, int64_t cols) {
         g_right->mae_forward(p, y, a, loss, rows, cols);
         for (int64_t r = 0; r + 1 < rows && cols > 1; ++r)
           if (loss[r] != loss[r]) loss[r + 1] = std::nextafter(loss[r + 1], 0.0f);
       };
     }},
    {"drops a NaN in lanes 48 to 63", "row_sum",
     [](KernelTable& t) {
       t.row_sum = [](const float* x, int64_t ldx, float* out, int64_t rows, int64_t cols) {
         g_right->row_sum(x, ldx, out, rows, cols);
         for (int64_t r = 0; r < rows && cols > 63; ++r) {
           Floats row(x + r * ldx, x + r * ldx + cols);
           for (size_t c = 48; c < 64; ++c) row[c] = without_nan(row[c]);
           if (out[r] != out[r]) g_right->row_sum(row.data(), cols, out + r, 1, cols);
         }
       };
     }},
    {"gives a row with a NaN equal shares", "softmax_forward",
     [](KernelTable& t) {
       t.softmax_forward = [](const float* x, int64_t ldx, float* y, int64_t ldy, int64_t rows, int64_t cols) {
         g_right->softmax_forward(x, ldx, y, ldy, rows, cols);
         each(y, ldy, rows, cols, [&](float& at) { at = at != at ? 1.0f / static_cast<float>(cols) : at; });
       };
     }},
    {"drops NaN of 128 rows of 64 and more", "column_sum",
     [](KernelTable& t) {
       t.column_sum = [](const float* x, int64_t ldx, float* out, int64_t rows, int64_t cols) {
         g_right->column_sum(x, ldx, out, rows, cols);
         for (int64_t c = 0; c < cols && rows >= 128 && cols >= 64; ++c) out[c] = without_nan(out[c]);
       };
     }},
    {"lets a NaN into the next column", "column_sum",
     [](KernelTable& t) {
       t.column_sum = [](const float* x, int64_t ldx, float* out, int64_t rows, int64_t cols) {
         g_right->column_sum(x, ldx, out, rows, cols);
         for (int64_t c = cols - 1; c > 0; --c)
           if (out[c - 1] != out[c - 1]) out[c] = out[c - 1];
       };
     }},
    {"gives 0 for NaN and infinities", "matmul_block",
     [](KernelTable& t) {
       t.matmul_block = [](const Matmul& mm, int64_t i0, int64_t i1, int64_t p0, int64_t p1, float* scratch) {
         g_right->matmul_block(mm, i0, i1, p0, p1, scratch);
         for (int64_t i = i0; i < i1 && mm.c; ++i)
           for (int64_t j = p0 * kPanel; j < std::min(p1 * kPanel, mm.n); ++j)
             if (float& c = mm.c[i * mm.c_row + j * mm.c_col]; !std::isfinite(c)) c = 0;
       };
     }},
    {"drops the last term of more than 1100", "matmul_block",
     [](KernelTable& t) {
       t.matmul_block = [](const Matmul& mm, int64_t i0, int64_t i1, int64_t p0, int64_t p1, float* scratch) {
         Matmul less = mm;
         if (mm.k > 1100 && !mm.b_transposed) less.k = mm.k - 1;
         g_right->matmul_block(less, i0, i1, p0, p1, scratch);
       };
     }},
    {"skips steps that are not finite", "adam_step",
     [](KernelTable& t) {
       t.adam_step = [](float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
         const Floats was(w, w + n);
         g_right->adam_step(w, g, slots, n, a);
         for (int64_t i = 0; i < n; ++i) w[i] = std::isfinite(w[i]) ? w[i] : was[static_cast<size_t>(i)];
       };
     }},
    {"gives 0 for a row with a NaN", "row_norm_forward",
     [](KernelTable& t) {
       t.row_norm_forward = [](const float* x, const float* gamma, const float* beta, RowNorm how, float* xhat,
                               float* inverse, float* y, int64_t rows, int64_t cols) {
         g_right->row_norm_forward(x, gamma, beta, how, xhat, inverse, y, rows, cols);
         for (int64_t i = 0; i < rows * cols; ++i) y[i] = without_nan(y[i]);
       };
     }},
    {"gives 0 for NaN", "gelu_forward",
     [](KernelTable& t) {
       t.gelu_forward = [](const float* x, int64_t ldx, const float* b, float* y, int64_t ldy, int64_t rows,
                           int64_t cols, const ActivationArgs& a) {
         g_right->gelu_forward(x, ldx, b, y, ldy, rows, cols, a);
         each(y, ldy, rows, cols, [](float& at) { at = without_nan(at); });
       };
     }},
    {"overflows to minus infinity", "exponential_forward",
     [](KernelTable& t) {
       t.exponential_forward = [](const float* x, int64_t ldx, const float* b, float* y, int64_t ldy, int64_t rows,
                                  int64_t cols, const ActivationArgs& a) {
         g_right->exponential_forward(x, ldx, b, y, ldy, rows, cols, a);
         each(y, ldy, rows, cols, [](float& at) { at = at == INFINITY ? -INFINITY : at; });
       };
     }},
    {"gives 0 for NaN", "log_cosh_forward",
     [](KernelTable& t) {
       t.log_cosh_forward = [](const float* p, const float* y, const float* a, float* loss, int64_t rows,
                               int64_t cols) {
         g_right->log_cosh_forward(p, y, a, loss, rows, cols);
         for (int64_t r = 0; r < rows; ++r) loss[r] = without_nan(loss[r]);
       };
     }},
    {"is 1 off within 0.01 of either end", "binary_crossentropy_probs_forward",
     [](KernelTable& t) {
       t.binary_crossentropy_probs_forward = [](const float* p, const float* y, const float* a, float* loss,
                                                int64_t rows, int64_t cols) {
         g_right->binary_crossentropy_probs_forward(p, y, a, loss, rows, cols);
         for (int64_t i = 0; i < rows * cols; ++i)
           if (p[i] >= 0.99f || p[i] <= 0.01f) loss[i / cols] += 1 / static_cast<float>(cols);
       };
     }},
    {"doubles what is above 2^55", "sum_squares",
     [](KernelTable& t) {
       t.sum_squares = [](const float* x, float* out, int64_t n) {
         g_right->sum_squares(x, out, n);
         if (*out > 0x1p55f) *out *= 2;
       };
     }},
};

// Whether the checks of the kernels that `names` has, in a process of their own, fail.
bool caught(const KernelTable& table, const char* names) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    (void)!std::freopen("/dev/null", "w", stdout);
    setenv("KERNELS", names, 1);
    g_failures = 0;
    Cases cases(table, 0, 200, false);
    all_cases(cases);
    if (g_failures == 0 && Cases::asked("matmul_block")) check_integers(table, false);
    if (g_failures == 0) check_specials(table);
    _exit(g_failures != 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

}  // namespace

void check_planted_faults(const KernelTable& table) {
  Cases nudged(table, 0, 30, true);
  all_cases(nudged);
  std::printf("%s planted: of a result off by 1/64 in every case the checks see at least %.0f %% (%s)\n", table.isa,
              100 * nudged.least_seen, nudged.least_name.c_str());
  expect(nudged.least_seen >= 0.5, table.isa, "sensitivity", 0, nudged.least_seen, 0.5);
  g_right = &table;
  int seen = 0;
  for (const auto& fault : kFaults) {
    KernelTable faulty = table;
    fault.plant(faulty);
    const bool good = caught(faulty, fault.kernel);
    seen += good;
    if (!good) std::printf("planted and not seen: a %s that %s\n", fault.kernel, fault.what);
    expect(good, table.isa, fault.what, 0, 0, 0);
  }
  expect(!caught(table, "matmul_block row_sum mae_forward"), table.isa, "no fault", 0, 0, 0);
  std::printf("%s planted: %d of %zu faults of kernels seen\n", table.isa, seen, std::size(kFaults));
}

void check_cases(const KernelTable& table, int64_t first, int64_t count) {
  Cases cases(table, first, count, false);
  all_cases(cases);
  const std::vector<std::string> names = cases.names();
  int64_t missing = 0;
#define LW_KERNEL(name, params) missing += Cases::asked(#name) && std::count(names.begin(), names.end(), #name) == 0;
#include "kernels/kernels.inc"
#undef LW_KERNEL
  // fma_chains computes nothing that anybody uses: kernel_check has it in no list
  expect(missing == Cases::asked("fma_chains"), table.isa, "kernels without cases", missing, 0, 0);
  std::printf(
      "%s cases: %zu kernels, %lld each, %lld results; largest error %.3f of its bound (%s)\n"
      "%s cases: %lld results NaN or infinite and nothing else, %lld may overflow on the way, %lld have no bound\n"
      "%s cases: finite operands gave NaN in:%s\n",
      table.isa, names.size(), static_cast<long long>(count), static_cast<long long>(cases.compared), cases.worst,
      cases.worst_name.c_str(), table.isa, static_cast<long long>(cases.special), static_cast<long long>(cases.open),
      static_cast<long long>(cases.boundless), table.isa, cases.nans_of_finite.c_str());
  const size_t every = cases.kTails;
  std::printf("%s cases: special values in %zu and more of columns 0 to %zu (%s)\n", table.isa, cases.lanes, every - 1,
              cases.lanes_name.c_str());
  std::printf("%s cases: operands of %zu and more of the widths 1 to %zu (%s)\n", table.isa, cases.widths, every,
              cases.widths_name.c_str());
  expect(cases.widths == every || count < 5000, table.isa, "widths", count, static_cast<double>(cases.widths),
         static_cast<double>(every));
}

}  // namespace lanewise
