from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import free_port
from tests.programs import find
from tests.s3 import S3Server, running


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server with the bucket `models`."""
    executable = find("versitygw")
    if executable is None:
        pytest.skip(
            "no S3 server: versitygw is not installed (`go install github.com/versity/versitygw/cmd/versitygw@latest`)"
        )
    with running(executable, Path(tmp_path_factory.mktemp("s3")), free_port()) as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """The server, named by this process's environment; it runs again afterwards, whatever a test did to it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    yield s3_server
    if s3_server.process is None:
        s3_server.start()
