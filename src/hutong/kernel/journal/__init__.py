"""The journal: what happened, in order, kept until its time is over and replayable from any point.

One writer appends, any number of processes read. `port` says what a journal does; `file` keeps it in a
folder of segments, `memory` in this process. What the records mean belongs to whoever writes them.
"""

from hutong.kernel.journal.file import FileJournal
from hutong.kernel.journal.frames import Frame, Record, encode_record
from hutong.kernel.journal.memory import MemoryJournal
from hutong.kernel.journal.port import Follower, Journal

__all__ = ["FileJournal", "Follower", "Frame", "Journal", "MemoryJournal", "Record", "encode_record"]
