// What the checks of products share: an epilogue whose blocks go into a row-major matrix as they are, and the plans of
// either kind of CPU.
#pragma once
#include <cstring>

#include "kernels/matmul.h"

namespace lanewise {

struct Out {
  float* c;
  int64_t ld;
};
inline void store(const void* context, float* t, int64_t i, int64_t j, int64_t rows, int64_t cols) {
  const auto& o = *static_cast<const Out*>(context);
  for (int64_t r = 0; r < rows; ++r) std::memcpy(o.c + (i + r) * o.ld + j, t + r * cols, static_cast<size_t>(cols) * 4);
}

// In this scope products are planned as on that kind of core.
class PlannedFor {
 public:
  explicit PlannedFor(const Core& kind) : before_(core) { core = kind; }
  ~PlannedFor() { core = before_; }

 private:
  const Core before_;
};

}  // namespace lanewise
