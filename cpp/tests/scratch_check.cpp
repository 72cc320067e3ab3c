// A product's scratch is enough for it and for what the last batch of an epoch makes of it, whichever way that goes.
#include <initializer_list>

#include "tests/check.h"
#include "tests/store.h"

namespace lanewise {
namespace {

int64_t taken(const Matmul& mm) {
  const MatmulPlan plan = matmul_plan(mm);
  return plan.tile_floats + plan.b_floats + plan.a_floats;
}

// By the operands' layouts: dW (A transposed), a row-major product, and one whose B is transposed.
Matmul product(int form, int64_t m, int64_t n, int64_t k, float* c) {
  Matmul mm{};
  mm.m = m, mm.n = n, mm.k = k, mm.c = c, mm.c_row = n, mm.c_col = 1;
  mm.a_row = form == 0 ? 1 : k, mm.a_col = form == 0 ? m : 1;
  mm.b_row = form == 2 ? 1 : n, mm.b_col = form == 2 ? k : 1;
  return mm;
}

}  // namespace

// dW loses terms in a smaller batch, the others rows.
void check_scratch() {
  float any = 0;
  const std::initializer_list<int64_t> sizes = {1,   2,   3,    7,    8,    9,    12,   15,   16,   17,    18,    20,
                                                21,  23,  24,   25,   31,   32,   33,   47,   48,   63,    64,    65,
                                                96,  127, 128,  129,  200,  255,  256,  257,  300,  511,   512,   513,
                                                600, 999, 1000, 1024, 1025, 2048, 3000, 4096, 8192, 50000, 131072};
  for (const Core& kind : {kZen4, kCascadeLake}) {
    const PlannedFor now(kind);
    for (int form = 0; form < 3; ++form)
      for (float* c : {static_cast<float*>(nullptr), &any})
        for (int64_t m : sizes)
          for (int64_t n : sizes)
            for (int64_t k : sizes)
              for (int64_t less : sizes) {
                if (less >= (form == 0 ? k : m)) break;
                const Matmul small = form == 0 ? product(form, m, n, less, c) : product(form, less, n, k, c);
                const int64_t has = matmul_scratch(product(form, m, n, k, c));
                if (taken(small) > has)
                  expect(false, "any", "scratch", less, static_cast<double>(has), static_cast<double>(taken(small)));
              }
  }
}

}  // namespace lanewise
