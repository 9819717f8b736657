"""Call records of others, and ours again: read from files, checked, put in order, replayed, written out.

What a column means is `columns`, how an operator's file names it `layout`, reading is `csv_file` and `parquet_file`,
checking is `convert`, order is `sorting`. Judging belongs to `calls.replay`. docs/records.md describes all of it.
"""

from pathlib import Path
from typing import Final

#: Layouts of two usual exports, to begin from.
LAYOUTS: Final = Path(__file__).parent / "layouts"
