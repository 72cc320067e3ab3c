// Matrix products of every way and layout: the bound of the numeric contract, exact integers, and the same bits
// wherever the result goes and however B is stored.
#include <algorithm>
#include <cmath>

#include "tests/check.h"
#include "tests/store.h"

namespace lanewise {
namespace {

struct Products {
  const KernelTable& k;
  Hash hash;

  void matmul(int64_t m, int64_t n, int64_t kk, int layout, bool integers) {
    Floats a = random_floats(m * kk), b = random_floats(kk * n), c(static_cast<size_t>(m * n), NAN);
    if (integers) {
      for (float& v : a) v = std::nearbyintf(v * 4);
      for (float& v : b) v = std::nearbyintf(v * 4);
    }
    Matmul mm{};
    mm.m = m, mm.n = n, mm.k = kk;
    mm.a = a.data(), mm.b = b.data();
    const bool ta = layout & 1, tb = layout & 2;
    mm.a_row = ta ? 1 : kk, mm.a_col = ta ? m : 1;
    mm.b_row = tb ? 1 : n, mm.b_col = tb ? kk : 1;
    const Out out{c.data(), n};
    mm.epilogue = store, mm.context = &out;
    Floats scratch(static_cast<size_t>(matmul_scratch(mm)), NAN);  // stale NaNs must not leak
    k.matmul_block(mm, 0, m, 0, panel_count(n), scratch.data());
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0, mass = 0;
        for (int64_t p = 0; p < kk; ++p) {
          const double product =
              static_cast<double>(mm.a[i * mm.a_row + p * mm.a_col]) * mm.b[p * mm.b_row + j * mm.b_col];
          sum += product, mass += std::fabs(product);
        }
        const auto terms = static_cast<double>(kk + 1);
        expect_within(k.isa, integers ? "matmul of integers" : "matmul", m * 1000000 + n * 1000 + kk,
                      c[static_cast<size_t>(i * n + j)], sum,
                      integers ? 0.0 : mass * terms * kU / (1 - terms * kU) + terms * 0x1p-149);
      }
    }
    hash.add(c);
    if (n > 1) matmul_in_place(mm, c);
  }
  // The same product written straight into C, and as C^T = B^T·A^T where that is the way: the bits of `wanted`.
  void matmul_in_place(Matmul mm, const Floats& wanted) {
    Floats c(wanted.size(), NAN);
    mm.c = c.data(), mm.c_row = mm.n, mm.c_col = 1;
    if (is_swapped(mm)) mm = swapped(mm);
    Floats scratch(static_cast<size_t>(matmul_scratch(mm)), NAN);
    k.matmul_block(mm, 0, mm.m, 0, panel_count(mm.n), scratch.data());
    for (size_t e = 0; e < c.size(); ++e)
      expect(std::memcmp(&c[e], &wanted[e], sizeof(float)) == 0, k.isa, "matmul in place",
             mm.m * 1000000 + mm.n * 1000 + mm.k, c[e], wanted[e]);
  }
  // B in column panels, and as the panels of B^T, large enough that tiles ask for memory ahead; once with arrays beside
  // C.
  void matmul_panels(int64_t m, int64_t n, int64_t kk) {
    auto in_panels = [](const Floats& b, int64_t rows, int64_t cols, int64_t row, int64_t col) {
      Floats out;
      for (int64_t j = 0; j < cols; j += kPanel)
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = j; c < std::min(j + kPanel, cols); ++c)
            out.push_back(b[static_cast<size_t>(r * row + c * col)]);
      return out;
    };
    const Floats a = random_floats(m * kk), b = random_floats(kk * n);
    const Floats panels = in_panels(b, kk, n, n, 1), transposed = in_panels(b, n, kk, 1, n),
                 beside = random_floats(m * n);
    Matmul mm{};
    mm.m = m, mm.n = n, mm.k = kk;
    mm.a = a.data(), mm.a_row = kk, mm.a_col = 1;
    mm.epilogue = store;
    Floats results[4];
    for (size_t way = 0; way < 4; ++way) {
      results[way].assign(static_cast<size_t>(m * n), NAN);
      const Out out{results[way].data(), n};
      mm.context = &out;
      mm.b_panels = way > 0, mm.b_transposed = way == 2;
      mm.b = way == 0 ? b.data() : way == 2 ? transposed.data() : panels.data();
      mm.b_row = way == 0 ? n : 1, mm.b_col = 1;
      mm.beside[0] = way == 3 ? beside.data() : nullptr;
      Floats scratch(static_cast<size_t>(matmul_scratch(mm)), NAN);
      k.matmul_block(mm, 0, m, 0, panel_count(n), scratch.data());
      for (size_t e = 0; e < results[0].size(); ++e)
        expect(std::memcmp(&results[way][e], &results[0][e], sizeof(float)) == 0, k.isa, "matmul of panels",
               static_cast<int64_t>(way), results[way][e], results[0][e]);
    }
  }
  void products() {
    for (int64_t m : {1, 2, 5, 6, 7, 13, 14, 15, 29, 33})
      for (int64_t n : {1, 2, 8, 15, 16, 17, 31, 32, 33, 48, 65})
        for (int64_t kk : {1, 2, 7, 16, 33})
          for (int layout = 0; layout < 4; ++layout) matmul(m, n, kk, layout, (m + n + kk) % 2 == 0);
    for (int layout = 0; layout < 4; ++layout)
      for (int64_t kk : {511, 512, 513, 1025}) matmul(9, 40, kk, layout, layout % 2), matmul(5, 1, kk, layout, false);
    matmul(70, 300, 70, 0, false), matmul(70, 300, 70, 3, true);
    // A few columns, a few terms, a few rows against a transposed B, strips of packed A.
    matmul(70, 3, 600, 0, false), matmul(50, 90, 5, 0, false), matmul(3, 90, 600, 2, false);
    for (int layout = 0; layout < 4; ++layout) matmul(190, 800, 70, layout, false);
    for (const Core& kind : {kZen4, kCascadeLake}) {
      const PlannedFor now(kind);
      matmul(12, 4100, 520, 0, false);  // from memory, many rows of B at a time
      matmul(50, 256, 70, 0, false), matmul(260, 300, 70, 0, false), matmul(260, 300, 70, 1, false);
      for (int layout = 0; layout < 4; ++layout) matmul(70, 24, 600, layout, true), matmul(130, 31, 64, layout, false);
    }
    matmul_panels(70, 520, 520), matmul_panels(64, 4128, 64);
  }
};

}  // namespace

Hash check_products(const KernelTable& table) {
  Products check{table, {}};
  check.products();
  return check.hash;
}

}  // namespace lanewise
