#!/usr/bin/env bash
# Coverage of the Python (branches) and of the C++ (lines) by the whole suite: about 15 minutes. The last result is in
# tests/coverage.txt. Needs pytest-cov and pytest-xdist beside the test dependencies; further arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/coverage
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS="--coverage -g0" \
  -Dpybind11_DIR="$(python -m pybind11 --cmakedir)" >/dev/null
ninja -C $build
rm -rf $build/site && mkdir -p $build/site && cp -r python/lanewise $build/site/ && cp $build/_core*.so $build/site/lanewise/
find $build -name '*.gcda' -delete
export PYTHONPATH="$PWD/$build/site" COVERAGE_FILE="$PWD/$build/python"
# long: they take minutes; test_codebase reads the sources where they stand
python -m pytest -q -p no:cacheprovider -n 2 --cov=lanewise --cov-branch --cov-report= --ignore=tests/parity "$@" || true
python scripts/coverage_report.py $build | tee tests/coverage.txt
