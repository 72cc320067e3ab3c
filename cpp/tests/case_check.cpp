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

const struct {
  const char* what;
  void (*plant)(KernelTable&);
} kFaults[] = {
    {"reads past the end",
     [](KernelTable& t) {
       t.relu_forward = [](const float* x, int64_t ldx, const float* b, float* y, int64_t ldy, int64_t rows,
                           int64_t cols, const ActivationArgs& a) {
         g_read = x[(rows - 1) * ldx + cols];
         g_right->relu_forward(x, ldx, b, y, ldy, rows, cols, a);
       };
     }},
    {"reads before the start",
     [](KernelTable& t) {
       t.row_sum = [](const float* x, int64_t ldx, float* out, int64_t rows, int64_t cols) {
         g_read = x[-1];
         g_right->row_sum(x, ldx, out, rows, cols);
       };
     }},
    {"writes past the end",
     [](KernelTable& t) {
       t.add_forward = [](const float* a, const float* b, float* y, int64_t n) {
         g_right->add_forward(a, b, y, n);
         y[n] = 0;
       };
     }},
    {"writes between rows",
     [](KernelTable& t) {
       t.softmax_forward = [](const float* x, int64_t ldx, float* y, int64_t ldy, int64_t rows, int64_t cols) {
         g_right->softmax_forward(x, ldx, y, ldy, rows, cols);
         if (rows > 1 && ldy > cols) y[cols] = 0;
       };
     }},
    {"writes to an input",
     [](KernelTable& t) {
       t.mse_forward = [](const float* p, const float* y, const float* a, float* loss, int64_t rows, int64_t cols) {
         g_right->mse_forward(p, y, a, loss, rows, cols);
         const_cast<float*>(p)[0] += 1;
       };
     }},
    {"reads its output",
     [](KernelTable& t) {
       t.column_sum = [](const float* x, int64_t ldx, float* out, int64_t rows, int64_t cols) {
         const float before = out[0] * 0.0f;
         g_right->column_sum(x, ldx, out, rows, cols);
         out[0] += before;
       };
     }},
    {"leaves the last element of a tail of 15 out",
     [](KernelTable& t) {
       t.dot_forward = [](const float* a, const float* b, float* y, int64_t rows, int64_t cols) {
         g_right->dot_forward(a, b, y, rows, cols);
         if (cols % 16 == 15) y[0] -= a[cols - 1] * b[cols - 1];
       };
     }},
    {"is 8 units off in lane 5",
     [](KernelTable& t) {
       t.sigmoid_forward = [](const float* x, int64_t ldx, const float* b, float* y, int64_t ldy, int64_t rows,
                              int64_t cols, const ActivationArgs& a) {
         g_right->sigmoid_forward(x, ldx, b, y, ldy, rows, cols, a);
         if (cols > 5) y[5] *= 1 + 0x1p-20f;
       };
     }},
    {"forgets an epsilon of 1e-7",
     [](KernelTable& t) {
       t.adam_step = [](float* w, const float* g, float* const* slots, int64_t n, const OptimizerArgs& a) {
         OptimizerArgs b = a;
         b.epsilon -= 1e-7f;
         g_right->adam_step(w, g, slots, n, b);
       };
     }},
    {"drops a term of a product at k = 33",
     [](KernelTable& t) {
       t.matmul_block = [](const Matmul& mm, int64_t i0, int64_t i1, int64_t p0, int64_t p1, float* scratch) {
         Matmul less = mm;
         if (mm.k == 33) less.k = 32;
         g_right->matmul_block(less, i0, i1, p0, p1, scratch);
       };
     }},
    {"reads scratch that it did not write",
     [](KernelTable& t) {
       t.matmul_block = [](const Matmul& mm, int64_t i0, int64_t i1, int64_t p0, int64_t p1, float* scratch) {
         const float stale = mm.c && matmul_scratch(mm) > 0 ? scratch[0] * 0.0f : 0.0f;
         g_right->matmul_block(mm, i0, i1, p0, p1, scratch);
         if (mm.c) mm.c[i0 * mm.c_row + p0 * kPanel * mm.c_col] += stale;
       };
     }},
    {"treats NaN apart in the last lane of 16",
     [](KernelTable& t) {
       t.maximum_forward = [](const float* a, const float* b, float* y, int64_t n) {
         g_right->maximum_forward(a, b, y, n);
         if (n >= 16 && y[15] != y[15]) y[15] = b[15];
       };
     }},
    {"lets a NaN into another row",
     [](KernelTable& t) {
       t.mae_forward = [](const float* p, const float* y, const float* a, float* loss, int64_t rows, int64_t cols) {
         g_right->mae_forward(p, y, a, loss, rows, cols);
         if (rows > 2 && loss[1] != loss[1]) loss[2] = loss[1];
       };
     }},
};

// Whether the checks, in a process of their own, fail.
bool caught(const KernelTable& table) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    (void)!std::freopen("/dev/null", "w", stdout);
    g_failures = 0;
    Cases cases(table, 0, 30, false);
    all_cases(cases);
    if (g_failures == 0) check_integers(table, false);
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
  expect(nudged.least_seen >= 0.4, table.isa, "sensitivity", 0, nudged.least_seen, 0.4);
  g_right = &table;
  int seen = 0;
  for (const auto& fault : kFaults) {
    KernelTable faulty = table;
    fault.plant(faulty);
    const bool good = caught(faulty);
    seen += good;
    if (!good) std::printf("planted and not seen: a kernel that %s\n", fault.what);
    expect(good, table.isa, fault.what, 0, 0, 0);
  }
  expect(!caught(table), table.isa, "no fault", 0, 0, 0);
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
