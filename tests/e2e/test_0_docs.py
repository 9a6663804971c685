"""The page docs/kubernetes.md, done as it says on a cluster that has nothing of ours."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.kubernetes import Cluster, run
from tests.laptop.projects import write_tumour_project

ROOT = Path(__file__).resolve().parents[2]
NAMESPACES = ("fairlead-system", "fairlead-runs", "fairlead-serving")
UPSTREAM = "docker.io/versity/versitygw:v1.8.0"


def commands() -> str:
    """What the page's blocks marked `sh` hold, as one script."""
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL))


@pytest.fixture
def bare(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster with our images, and without the namespaces that the page makes."""
    if cluster.tool is None:
        pytest.skip("the page is for a cluster without anything of ours: only the test cluster is surely one")
    run(*shlex.split(run(cluster.tool, "buildah")), "tag", cluster.image("versitygw", "1.8.0"), UPSTREAM)
    cluster.control("load", *map(cluster.image, ("pipeline", "serve", "tools", "mlflow")), UPSTREAM)
    yield cluster
    cluster.kubectl("delete", "namespace", "--ignore-not-found", "--wait=false", *NAMESPACES)


def test_the_page_leads_from_a_bare_cluster_to_a_served_model(bare: Cluster, tmp_path: Path) -> None:
    project = write_tumour_project(tmp_path / "tumour", workers=2)
    store = "http://fairlead-store.fairlead-system.svc.cluster.local:7070"
    mlflow = "http://fairlead-tracking.fairlead-system.svc.cluster.local:5000"
    environment = {
        **os.environ, "PROJECT": str(project), "FAIRLEAD_STORE": "s3://fairlead/store", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": store, "MLFLOW_TRACKING_URI": mlflow, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    # Not on the page: the rows of this project, in the store before the run.
    script = commands().replace(
        "fairlead check -C", f'{sys.executable} -c {shlex.quote(UPLOAD)} "$PROJECT"\nfairlead check -C', 1
    )
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, env=environment, text=True,
                          capture_output=True, timeout=800, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Phase:          Succeeded" in done.stdout


UPLOAD = """
import sys
from pathlib import Path
from fairlead.adapters.s3 import filesystem
root = Path(sys.argv[1])
with filesystem().open_output_stream("fairlead/rows.csv") as stream:
    stream.write((root / "rows.csv").read_bytes())
text = (root / "fairlead.yaml").read_text().replace("uri: rows.csv", "uri: s3://fairlead/rows.csv")
(root / "fairlead.yaml").write_text(text)
"""
