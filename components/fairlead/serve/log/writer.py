"""Segments of the prediction log, written one after the other: whole lines, rotated, never more than agreed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fairlead.serve.log.files import (
    FINISHED,
    OPEN,
    SegmentName,
    WorkerFile,
    end_record,
    finish_dead,
    keep_within,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a segment is finished, and how much is kept."""

    segment_bytes: int = 16 << 20
    """A segment that is larger is finished."""
    segment_seconds: float = 60.0
    """So is one that is older: what is not finished cannot be shipped."""
    keep_bytes: int = 1 << 30
    """Finished segments that nobody ships are deleted beyond it, the oldest first."""


@dataclass(slots=True)
class _Segment:
    path: Path
    file: int
    opened: float
    size: int = 0
    records: int = 0


class SegmentWriter:
    """Appends lines to segments. One thread uses it; every method may raise OSError, and may then be called again."""

    def __init__(
        self, folder: Path, pod: str, epoch: str, bounds: Bounds, lost: Callable[[str, int], None]
    ) -> None:
        """Write to *folder* as *pod*, *epoch*. *lost* is told why how many records will not be read."""
        self._folder = folder
        self._pod = pod
        self._epoch = epoch
        self._bounds = bounds
        self._lost = lost
        self._segment: _Segment | None = None
        self._worker: WorkerFile | None = None
        self._begun = False

    def enter(self, last: int, now: float) -> WorkerFile:
        """Take a place in the folder, with *last* given out so far; say so in a first record. Does it once.

        What dead writers left is finished on the way.
        """
        if self._worker is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            finish_dead(self._folder)
            self._worker = WorkerFile(self._folder, self._pod, self._epoch, last)
        if not self._begun:
            begin = {
                "kind": "worker",
                "event": "begin",
                "pod": self._pod,
                "epoch": self._epoch,
                "seq": 0,
                "at": now,
            }
            self.write(json.dumps(begin).encode() + b"\n", 0, 1, now)
            self._begun = True
        return self._worker

    def write(self, lines: bytes, first: int, records: int, now: float) -> None:
        """Append whole *lines*, all or none. *first* is the sequence number of the first."""
        segment = self._segment = self._segment or self._opened(first, now)
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(segment.file, left) :]
        except OSError:
            os.ftruncate(segment.file, segment.size)  # half a line would spoil the next one
            raise
        segment.size += len(lines)
        segment.records += records

    def rotate(self, now: float) -> None:
        """Finish the segment if it is large or old enough."""
        segment = self._segment
        if segment is not None and (
            segment.size >= self._bounds.segment_bytes or now - segment.opened >= self._bounds.segment_seconds
        ):
            self.finish()

    def finish(self) -> None:
        """Make the segment readable for others, under its final name; delete the oldest where there are too many."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            os.fsync(segment.file)
        finally:
            os.close(segment.file)
        if segment.path.exists():
            self._publish()
        else:  # somebody removed it under our feet, or the whole folder
            self._lost("removed", segment.records)
            self._worker = None
        if dropped := keep_within(self._folder, self._bounds.keep_bytes):
            self._lost("kept", dropped)

    def close(self, last: int, now: float) -> None:
        """Say in a last record how many were given out, finish, and leave the folder."""
        if self._worker is None:
            return
        end = json.dumps(end_record(self._pod, self._epoch, last, now, clean=True)).encode()
        self.write(end + b"\n", last, 1, now)
        self.finish()
        self._worker.close()

    def _opened(self, first: int, now: float) -> _Segment:
        path = self._folder / SegmentName(now, self._pod, self._epoch, first).text(OPEN)
        return _Segment(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), now)

    def _publish(self) -> None:
        """Rename all that this writer has finished: an earlier one may have failed to be."""
        for path in sorted(self._folder.glob(f"*_{self._pod}_{self._epoch}_*{OPEN}")):
            if path.stat().st_size:
                path.rename(path.with_suffix(FINISHED))
            else:
                path.unlink()


def finish_quietly(writer: SegmentWriter) -> None:
    """After a failed write: finish what is there as far as the disk lets; a new segment may have better luck."""
    with suppress(OSError):
        writer.finish()
