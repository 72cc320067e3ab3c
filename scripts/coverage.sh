#!/usr/bin/env bash
# Coverage of the Python (branches) and of the C++ (lines) by the whole suite, then by the C++ check: 20 minutes on two
# cores. Each file of tests is a process of its own, so that one that is killed loses its own figures alone.
#   scripts/coverage.sh                     all of it; writes tests/coverage.txt
#   scripts/coverage.sh tests/test_x.py ... these again, added to what is there; prints the report
# Needs `pip install coverage` beside the test dependencies. JOBS: how many at once (2); RUN is put before each four (nice, say).
set -euo pipefail
cd "$(dirname "$0")/.."
build="$PWD/build/coverage"
# Atomic counters: GCC may count a loop by its counter, and where threads race for that the loop itself goes wrong (products
# on seven threads read the element before).
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS="--coverage -fprofile-update=atomic -g0" \
  -DPython_EXECUTABLE="$(command -v python)" -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" >/dev/null
${RUN:-} ninja -C "$build"
# test_codebase runs linters, nothing of the package
pieces=("$@")
if [ $# = 0 ]; then
  rm -rf "$build/site" "$build/python" && mkdir -p "$build/site" "$build/python"
  find "$build" -name '*.gcda' -delete
  mapfile -t pieces < <(ls tests/test_*.py | grep -v test_codebase)
fi
mkdir -p "$build/site" "$build/python"  # a run of some files may be the first
cp -rp python/lanewise "$build/site/" && cp "$build"/_core*.so "$build/site/lanewise/"

printf '[run]\nbranch = true\nparallel = true\npatch = subprocess\nsource = %s\n' "$build/site/lanewise" >"$build/rc"
# Coverage's lock stays locked when Ctrl-C comes inside it, it keeps something of every thread, and where there is no memory
# it raises before the first line of an `__exit__`.
skipped="test_interrupts_at_random_moments_leave_no_lock_behind or (memory_stays_as_it_was and thread) or"
skipped+=" what_holds_inside_a_load_ends_with_it"
each() { # files of tests; their words and figures stay in $build/python
  for file in "$@"; do
    local out="$build/python/$(basename "$file" .py)"
    rm -f "$out".*
    PYTHONPATH="$build/site" COVERAGE_FILE="$out.data" \
      python -m coverage run --rcfile="$build/rc" -m pytest -q -p no:cacheprovider -k "not ($skipped)" "$file" >"$out.txt" 2>&1 ||
      echo "not all passed: $file: $(tail -1 "$out.txt")"
  done
}
export -f each
export build skipped
printf '%s\n' "${pieces[@]}" | xargs -P "${JOBS:-2}" -n 4 ${RUN:-} bash -c 'each "$@"' _
if [ $# = 0 ]; then # the very objects of that build, without Python
  OBJECTS="$build" EXTRA_FLAGS=--coverage CROSS_CXX=none CASES=20 INTEGERS=some \
    ${RUN:-} bash cpp/tests/run_kernel_check.sh | grep -E "failures|planted"
  python scripts/coverage_report.py "$build" | tee tests/coverage.txt
else
  python scripts/coverage_report.py "$build"
fi
