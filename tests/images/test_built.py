"""The images themselves, built without a network and run as a pod would run them, or stricter."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tools.images.engines import Buildah
from tools.images.targets import OUT, TARGETS

pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]

Run = Callable[..., str]

MOST_MEGABYTES = {"serve": 450, "serve-sklearn": 650, "tools": 700, "pipeline": 1200, "mlflow": 1050}


@pytest.mark.parametrize(("name", "megabytes"), MOST_MEGABYTES.items())
def test_an_image_is_no_larger_than_it_may_be(
    name: str, megabytes: int, builder: Buildah, built: Callable[[str], str]
) -> None:
    size = builder.size(built(name))
    assert size is not None
    assert size <= megabytes * 1_000_000


LOOK_AROUND = """
import json, os, shutil, sys
json.dump({
    "user": os.getuid(),
    "root_is_writable": os.access("/", os.W_OK) or os.access("/opt/fairlead", os.W_OK),
    "compilers": [name for name in ("cc", "gcc", "g++", "clang", "make", "uv") if shutil.which(name)],
    "sbom": json.load(open("/usr/share/sbom/fairlead.cdx.json"))["metadata"]["component"]["name"],
    "python": sys.executable,
    "home": os.path.expanduser("~"),
}, sys.stdout)
"""


@pytest.mark.parametrize("name", TARGETS)
def test_an_image_has_no_compiler_and_is_at_home_nowhere_but_in_tmp(name: str, run: Run) -> None:
    assert json.loads(run(name, LOOK_AROUND)) == {
        "user": 65532,
        "root_is_writable": False,
        "compilers": [],
        "sbom": f"fairlead/{name}",
        "python": "/opt/fairlead/bin/python",
        "home": "/tmp",
    }


INSTALLED = """
import json, sys
from importlib.metadata import distributions
json.dump(sorted(f"{d.metadata['Name'].lower().replace('_', '-').replace('.', '-')}=={d.version}"
                 for d in distributions(path=[p for p in sys.path if p.startswith("/opt")])), sys.stdout)
"""


@pytest.mark.parametrize("name", TARGETS)
def test_the_sbom_beside_the_build_names_what_is_installed(name: str, run: Run) -> None:
    listed = json.loads((OUT / f"{name}.cdx.json").read_text())["components"]
    assert json.loads(run(name, INSTALLED)) == sorted(f"{part['name']}=={part['version']}" for part in listed)


@pytest.mark.parametrize("stage", ["data", "model", "bundle"])
def test_the_pipeline_image_imports_the_stage(stage: str, run: Run) -> None:
    run("pipeline", f"import fairlead.{stage}.stage")


EXECUTE = """
import json, os, subprocess
open("/tmp/component.py", "w").write('''
from kfp.dsl import *

def hello(name: str, rows: Output[Metrics]) -> str:
    rows.log_metric("n", 3)
    return f"hello {name}"
''')
rows = {"name": "rows", "type": {"schemaTitle": "system.Metrics", "schemaVersion": "0.0.1"}, "uri": "/tmp/rows"}
given = {"inputs": {"parameterValues": {"name": "world"}},
         "outputs": {"parameters": {"Output": {"outputFile": "/tmp/out"}}, "artifacts": {"rows": {"artifacts": [rows]}},
                     "outputFile": "/tmp/done/output.json"}}
command = ["python3", "-m", "kfp.dsl.executor_main", "--component_module_path", "/tmp/component.py",
           "--executor_input", json.dumps(given), "--function_to_execute", "hello"]
subprocess.run(command, env={**os.environ, "_KFP_RUNTIME": "true"}, check=True, stdout=subprocess.DEVNULL)
print(open("/tmp/done/output.json").read())
"""


def test_kfps_executor_runs_without_kfps_dependencies(run: Run) -> None:
    found = json.loads(run("pipeline", EXECUTE))
    assert found["parameterValues"] == {"Output": "hello world"}
    assert found["artifacts"]["rows"]["artifacts"][0]["metadata"] == {"n": 3}


SERVE = """
import json, subprocess, sys, time, urllib.request
server = subprocess.Popen(["bentoml", "serve", "/bundle/bento", "--host", "127.0.0.1", "--port", "3000"],
                          stdout=sys.stderr, stderr=sys.stderr)
began = time.monotonic()
while time.monotonic() < began + 60 and server.poll() is None:
    try:
        urllib.request.urlopen("http://127.0.0.1:8080/readyz", timeout=1)
        break
    except OSError:
        time.sleep(0.05)
rows = json.load(open("/bundle/attestations/examples.json"))
request = urllib.request.Request("http://127.0.0.1:8080/predict", json.dumps(rows).encode(),
                                 {"content-type": "application/json"})
print(urllib.request.urlopen(request).read().decode())
server.terminate()
server.wait()
"""


@pytest.mark.parametrize("name", ["serve", "serve-sklearn"])
def test_a_serving_image_answers_for_a_real_bundle(name: str, run: Run, bundle: Path) -> None:
    answer = json.loads(run(name, SERVE, {bundle: "/bundle"}))
    assert len(answer["predictions"]) == 3


def test_the_tools_image_has_helm_and_the_command_line(run: Run) -> None:
    written = run("tools", "import os; os.system('helm version --short && fairlead --help')")
    assert written.startswith("v3.20")
    assert "Usage: fairlead" in written


def test_the_tools_image_has_the_clients_of_a_cluster(run: Run) -> None:
    run("tools", "import kfp, kfp.kubernetes, kubernetes, mlflow, pyarrow.fs; pyarrow.fs.S3FileSystem")


MLFLOW = """
import subprocess, sys, time, urllib.request
server = subprocess.Popen(["mlflow", "server", "--host", "127.0.0.1", "--port", "5000", "--workers", "1",
                           "--backend-store-uri", "sqlite:////tmp/mlflow.db"], stdout=sys.stderr, stderr=sys.stderr)
began = time.monotonic()
while time.monotonic() < began + 120 and server.poll() is None:
    try:
        print(urllib.request.urlopen("http://127.0.0.1:5000/health", timeout=1).read().decode())
        break
    except OSError:
        time.sleep(0.2)
server.terminate()
server.wait()
"""


def test_the_mlflow_image_starts_a_tracking_server(run: Run) -> None:
    assert run("mlflow", MLFLOW).strip() == "OK"


def test_mlflow_finds_a_driver_for_the_plain_name_of_postgresql(run: Run) -> None:
    source = "import sqlalchemy, boto3; print(sqlalchemy.create_engine('postgresql://u@127.0.0.1/d').dialect.driver)"
    assert run("mlflow", source).strip() == "psycopg"
