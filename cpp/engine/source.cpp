#include "engine/source.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

namespace lanewise {
namespace {

// IEEE half precision, widened exactly.
struct Half {
  uint16_t bits;
  explicit operator float() const {
    const uint32_t sign = uint32_t{bits} >> 15 << 31, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent == 0) {  // zero and subnormals: a multiple of 2^-24
      const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
      return sign ? -magnitude : magnitude;
    }
    const uint32_t wide = sign | (exponent == 31 ? 0x7F800000u : (exponent + 112) << 23) | (fraction << 13);
    float x;
    std::memcpy(&x, &wide, sizeof x);
    return x;
  }
  explicit operator double() const { return static_cast<double>(static_cast<float>(*this)); }
};

template <class From, class To>
void gather_as(const Source& s, const uint32_t* order, int64_t first, int64_t begin, int64_t end, To* out) {
  for (int64_t r = begin; r < end; ++r, out += s.cols) {
    const char* row = s.data + (order ? static_cast<int64_t>(order[first + r]) : first + r) * s.row_stride;
    if constexpr (std::is_same_v<From, To>) {
      if (s.cols > 1 && s.col_stride == static_cast<int64_t>(sizeof(From))) {  // one alone: a call costs 2 ns
        std::memcpy(out, row, static_cast<size_t>(s.cols) * sizeof(From));
        continue;
      }
    }
    for (int64_t c = 0; c < s.cols; ++c) {
      From x;
      std::memcpy(&x, row + c * s.col_stride, sizeof x);
      if constexpr (std::is_same_v<To, int32_t>)
        out[c] = id_of(x);
      else
        out[c] = static_cast<To>(x);
    }
  }
}

template <class To>
void gather_any(const Source& s, const uint32_t* order, int64_t first, int64_t begin, int64_t end, To* out) {
  switch (s.dtype) {
    case DType::kBool:
    case DType::kUInt8:
      return gather_as<uint8_t>(s, order, first, begin, end, out);
    case DType::kInt8:
      return gather_as<int8_t>(s, order, first, begin, end, out);
    case DType::kInt16:
      return gather_as<int16_t>(s, order, first, begin, end, out);
    case DType::kUInt16:
      return gather_as<uint16_t>(s, order, first, begin, end, out);
    case DType::kInt32:
      return gather_as<int32_t>(s, order, first, begin, end, out);
    case DType::kUInt32:
      return gather_as<uint32_t>(s, order, first, begin, end, out);
    case DType::kInt64:
      return gather_as<int64_t>(s, order, first, begin, end, out);
    case DType::kUInt64:
      return gather_as<uint64_t>(s, order, first, begin, end, out);
    case DType::kFloat16:
      return gather_as<Half>(s, order, first, begin, end, out);
    case DType::kFloat32:
      return gather_as<float>(s, order, first, begin, end, out);
    case DType::kFloat64:
      return gather_as<double>(s, order, first, begin, end, out);
  }
}

}  // namespace

void gather(const Source& s, const uint32_t* order, int64_t first, int64_t begin, int64_t end, float* out) {
  gather_any(s, order, first, begin, end, out);
}
void gather(const Source& s, const uint32_t* order, int64_t first, int64_t begin, int64_t end, int32_t* out) {
  gather_any(s, order, first, begin, end, out);
}

void gather(const Source& s, const uint32_t* order, int64_t first, int64_t begin, int64_t end, double* out) {
  gather_any(s, order, first, begin, end, out);
}

int64_t find_bad_id(const Source& s, const uint32_t* order, int64_t begin, int64_t end,
                    const std::vector<int64_t>& limits, double* bad, int64_t* column) {
  constexpr int64_t kChunk = 256;
  double values[kChunk];
  for (int64_t r = begin; r < end; ++r) {
    for (int64_t c = 0; c < s.cols; c += kChunk) {
      Source part = s;
      part.data += c * s.col_stride;
      part.cols = std::min(kChunk, s.cols - c);
      gather(part, order, 0, r, r + 1, values);
      bool good = true;
      for (int64_t i = 0; i < part.cols; ++i) {
        const double v = values[i];
        const int64_t limit = limits[static_cast<size_t>(c + i)];
        const bool fits = limit == 0 || (v >= 0 && v < static_cast<double>(limit) && v == std::floor(v));
        if (good && !fits) *bad = v, *column = c + i;
        good &= fits;
      }
      if (!good) return order ? static_cast<int64_t>(order[r]) : r;
    }
  }
  return -1;
}

bool gather_labels(const Source& s, const uint32_t* order, int64_t first, int64_t begin, int64_t end, int64_t classes,
                   int32_t* out, double* bad) {
  constexpr int64_t kChunk = 256;
  double values[kChunk];
  Source column = s;
  column.cols = 1;
  for (int64_t r = begin; r < end; r += kChunk) {
    const int64_t n = std::min(kChunk, end - r);
    gather(column, order, first, r, r + n, values);
    for (int64_t i = 0; i < n; ++i) {
      const double v = values[i];
      if (!(v >= 0 && v < static_cast<double>(classes) && v == std::floor(v))) {
        *bad = v;
        return false;
      }
      *out++ = static_cast<int32_t>(v);
    }
  }
  return true;
}

}  // namespace lanewise
