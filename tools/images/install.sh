#!/bin/sh
# Install what /requirements.txt names from the wheels in /wheels. Runs inside an image build.
#
# The requirements are complete, so nothing is resolved (--no-deps), and each names one wheel by its hash.
set -eu
uv pip install --quiet --no-index --find-links /wheels --no-deps --require-hashes --requirement /requirements.txt

# The test suites of the large packages: nothing imports them, and they are a tenth of the image. Of numpy's, numpy.testing
# imports one module.
cd "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
for package in matplotlib pandas pyarrow scipy sklearn; do
    [ ! -d "$package" ] || find "$package" -type d -name tests -prune -exec rm -rf {} +
done
[ ! -d numpy ] || find numpy -path '*/tests/*' -type f ! -name '_natype.*' ! -name '__init__.*' -delete
rm -rf onnx/backend/test
