"""`hutong codes holders`: at the operator's, a table of whose numbers are becomes a file of hashes; needs no node."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  # cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from hutong.codes.people.holder_files import read_holders, write_holders
from hutong.kernel.errors import ConfigError
from hutong.kernel.numbering import Numbering

if TYPE_CHECKING:
    from hutong.codes.people.holder_files import WrongRow

app = App(name="holders", help="运营商:写出机主散列文件 / Operators: the file of whose numbers are, as hashes")

_SOME_WRONG: Final = 1


@app.command
def write(
    table: Annotated[
        Path,
        Parameter(
            name="IN", help="CSV:号码、证件类型、证件号、姓名 / CSV with the columns number, kind, document, name"
        ),
    ],
    out: Annotated[Path, Parameter(name="OUT", help="写入的文件 / file to write")],
    /,
    *,
    key_file: Annotated[
        Path,
        Parameter(
            help="密钥文件,内容即节点的 codes.operator_secret / file of the key: the node's codes.operator_secret"
        ),
    ],
) -> int:
    """写出机主散列文件;有误的行逐行报告,其余照写 / Write hashes of holders; wrong rows are told, the rest written."""
    key = _key(key_file)
    wrong = 0

    def tell(it: WrongRow) -> None:
        nonlocal wrong
        wrong += 1
        sys.stderr.write(f"第 {it.line} 行 line {it.line}: {it.number or '—'}: {it.what}\n")

    done = write_holders(key, read_holders(table, Numbering(), tell), out)
    sys.stdout.write(
        f"{out}: {done.numbers} 个号码 numbers; 重复而以后者为准 replaced: {done.replaced}; 有误 wrong: {wrong}\n"
    )
    return _SOME_WRONG if wrong else 0


def _key(file: Path) -> bytes:
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The key cannot be read: {error}.", where=str(file)) from error
    if not key:
        raise ConfigError("The key is empty.", where=str(file))
    return key.encode()
