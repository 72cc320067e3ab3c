// Where batches come from: the user's arrays, read in place whatever their type and strides, converted row by row.
#pragma once
#include <cstdint>
#include <type_traits>
#include <vector>

namespace lanewise {

enum class DType {
  kBool,
  kInt8,
  kUInt8,
  kInt16,
  kUInt16,
  kInt32,
  kUInt32,
  kInt64,
  kUInt64,
  kFloat16,
  kFloat32,
  kFloat64
};

// (rows, cols), strides in bytes. Arrays of more axes arrive with their inner axes flattened into cols.
struct Source {
  const char* data = nullptr;
  DType dtype = DType::kFloat32;
  int64_t rows = 0, cols = 0;
  int64_t row_stride = 0, col_stride = 0;

  // Rows can be handed out as they are: float32 (int32), neighbours in memory, where such numbers may stand.
  bool contiguous(DType wanted = DType::kFloat32) const {
    const bool aligned = reinterpret_cast<uintptr_t>(data) % 4 == 0;
    return dtype == wanted && col_stride == 4 && row_stride == cols * 4 && aligned;
  }
};

// What a number is as an id or a label: -1 unless it is a whole number that an int32 holds (larger ones of 32 bits are
// negative then), so that none is cut down to one that exists.
template <class From>
int32_t id_of(From x) {
  if constexpr (std::is_integral_v<From>) {
    return sizeof x <= 4 || x == static_cast<From>(static_cast<int32_t>(x)) ? static_cast<int32_t>(x) : -1;
  }
  const auto wide = static_cast<double>(x);
  const int32_t id = -1 < wide && wide < 0x1p31 ? static_cast<int32_t>(wide) : -1;
  return id == wide ? id : -1;
}

// out[r - begin, :] = row order[first + r] (order null: row first + r) for r in [begin, end), converted to T
// (floats by round to nearest; int32 by id_of).
void gather(const Source& source, const uint32_t* order, int64_t first, int64_t begin, int64_t end, float* out);
void gather(const Source& source, const uint32_t* order, int64_t first, int64_t begin, int64_t end, int32_t* out);
void gather(const Source& source, const uint32_t* order, int64_t first, int64_t begin, int64_t end, double* out);

// The same into memory that holds int32 or float32.
inline void gather(const Source& source, const uint32_t* order, int64_t first, int64_t begin, int64_t end, float* out,
                   bool integers) {
  if (integers)
    gather(source, order, first, begin, end, reinterpret_cast<int32_t*>(out));
  else
    gather(source, order, first, begin, end, out);
}

// The first of rows [begin, end) that has something else than a whole number in [0, limits[c]) in a column c, which
// goes into `bad` with its column; -1 where there is none. Columns whose limit is 0 hold what they like. Checked as
// float64, so that none is cut down to one that exists.
int64_t find_bad_id(const Source& source, const uint32_t* order, int64_t begin, int64_t end,
                    const std::vector<int64_t>& limits, double* bad, int64_t* column);

// Labels of the first column as they are gathered, into out; stops at the first that is no whole number in
// [0, classes) and puts it into `bad`. Checked as float64, so that none is cut down to one that exists.
bool gather_labels(const Source& source, const uint32_t* order, int64_t first, int64_t begin, int64_t end,
                   int64_t classes, int32_t* out, double* bad);

}  // namespace lanewise
