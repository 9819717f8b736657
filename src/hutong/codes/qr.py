"""QR codes of codes (ISO/IEC 18004): matrices by table, drawn as SVG or PNG. Pure.

For texts of one length, version, level and mask, a symbol is a fixed picture to which each bit of the text adds, modulo
2, a fixed set of modules: the placing of bits, the error correction (Reed-Solomon over GF(256)) and the mask are all
linear. So a table has what each half byte adds, and a symbol is the sum of some hundred rows of it. The fixed picture
and its version come from segno. The mask is always the same: signatures and ids are random, so
no mask suits one code better than another in a way that a camera would notice.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import segno
from segno import consts

from hutong.protocols.base45 import ALPHABET

if TYPE_CHECKING:
    import numpy.typing as npt

    Bits = npt.NDArray[np.uint8]

Level = Literal["L", "M", "Q", "H"]
MASK: Final = 3
#: Light modules around a symbol (ISO/IEC 18004 §6.3.8).
BORDER: Final = 4
_POLYNOMIAL: Final = 0x11D  # of GF(256), ISO/IEC 18004 §7.5.2
_PAIR_BITS, _SINGLE_BITS, _MODE_BITS = 11, 6, 4
_ALPHANUMERIC: Final = 0b0010
#: Versions up to which the count of characters has so many bits (ISO/IEC 18004 table 3).
_COUNT_BITS: Final = ((9, 9), (26, 11), (40, 13))
_PADDING: Final = (0b1110_1100, 0b0001_0001)
_FIRST_WITH_VERSION: Final = 7
_KEPT_FORMS: Final = 8  # a few megabytes each
_VALUES: Final = np.zeros(256, np.int64)
_VALUES[np.frombuffer(ALPHABET.encode(), np.uint8)] = np.arange(len(ALPHABET))
_WEIGHTS: Final = 1 << np.arange(_PAIR_BITS - 1, -1, -1)


class Form:
    """Everything about symbols of texts of one length, at one level.

    Args:
        length: characters of the base45 alphabet, upper case. level: of error correction.

    Raises:
        segno.DataOverflowError: no symbol holds so much.
    """

    def __init__(self, length: int, level: Level) -> None:
        sample = ALPHABET[0] * length
        made = segno.make(sample, error=level, mode="alphanumeric", mask=MASK, micro=False, boost_error=False)
        self.version = int(made.version)
        self.length, self.width = length, len(made.matrix)
        blocks = _blocks(self.version, level)
        self._codewords = sum(data for data, _ in blocks)
        self._frame = self._framed()
        places = _places(made)
        rows = _unpacked_rows(blocks, places, self.width * self.width)
        # Rows of whole machine words are added several times faster than rows of bytes.
        bytes_ = -(-self.width * self.width // 64) * 8
        self._rows = np.zeros((len(rows), 16, bytes_ // 8), np.uint64)
        for half, of_half in enumerate(rows):
            packed = np.packbits(of_half, axis=1)
            self._rows[half].view(np.uint8)[:, : packed.shape[1]] = packed
        self._halves = np.arange(len(rows))
        picture = np.zeros(bytes_, np.uint8)
        flat = np.packbits(np.array(made.matrix, np.uint8).ravel())
        picture[: len(flat)] = flat
        self._zero = picture.view(np.uint64) ^ self._sum(self._message(sample))

    def matrix(self, text: str) -> Bits:
        """The symbol of a text, without border: rows of modules, 1 for dark.

        Raises:
            ValueError: the text has another length.
        """
        if len(text) != self.length:
            raise ValueError(f"{len(text)} characters where {self.length} were expected")
        packed = self._zero ^ self._sum(self._message(text))
        bits = np.unpackbits(packed.view(np.uint8), count=self.width * self.width)
        return bits.reshape(self.width, self.width)

    def _sum(self, message: Bits) -> npt.NDArray[np.uint64]:
        halves = np.empty(2 * len(message), np.intp)
        halves[0::2], halves[1::2] = message >> 4, message & 15
        found: npt.NDArray[np.uint64] = np.bitwise_xor.reduce(self._rows[self._halves, halves], axis=0)
        return found

    def _framed(self) -> Bits:
        """The bits of a message with nothing in it: mode, count, and what fills the rest up."""
        count_bits = next(bits for upto, bits in _COUNT_BITS if self.version <= upto)
        head = [int(bit) for bit in f"{_ALPHANUMERIC:0{_MODE_BITS}b}{self.length:0{count_bits}b}"]
        body = self.length // 2 * _PAIR_BITS + self.length % 2 * _SINGLE_BITS
        bits = np.zeros(8 * self._codewords, np.uint8)
        bits[: len(head)] = head
        self._body = slice(len(head), len(head) + body)
        ends = min(-(-(len(head) + body + 4) // 8), self._codewords)
        filled = np.resize(np.array(_PADDING, np.uint8), self._codewords - ends)
        bits[8 * ends :] = np.unpackbits(filled)
        return bits

    def _message(self, text: str) -> Bits:
        """The data codewords of a text (ISO/IEC 18004 §7.4.4)."""
        values = _VALUES[np.frombuffer(text.encode("ascii"), np.uint8)]
        even = self.length & ~1
        pairs = values[0:even:2] * len(ALPHABET) + values[1:even:2]
        bits = self._frame.copy()
        body = bits[self._body]
        body[: len(pairs) * _PAIR_BITS] = ((pairs[:, None] & _WEIGHTS) != 0).ravel()
        if even < self.length:
            body[len(pairs) * _PAIR_BITS :] = (values[-1] & _WEIGHTS[-_SINGLE_BITS:]) != 0
        return np.packbits(bits)


_form = lru_cache(maxsize=_KEPT_FORMS)(Form)


def matrix(text: str, level: Level = "M") -> Bits:
    """The symbol of a text in the alphabet of base45, without border: rows of modules, 1 for dark.

    The first text of a length takes a moment: its table is made.

    Raises:
        segno.DataOverflowError: no symbol holds so much.
    """
    return _form(len(text), level).matrix(text)


def png(modules: Bits, scale: int = 1) -> bytes:
    """A symbol with its border as PNG of one bit for a pixel; `scale` pixels for a module."""
    width = len(modules)
    framed = np.ones((width + 2 * BORDER, width + 2 * BORDER), np.uint8)
    framed[BORDER:-BORDER, BORDER:-BORDER] ^= modules
    if scale > 1:
        framed = framed.repeat(scale, 0).repeat(scale, 1)
    rows = np.packbits(framed, axis=1)
    lines = np.zeros((len(rows), rows.shape[1] + 1), np.uint8)  # each begins with its filter: none
    lines[:, 1:] = rows
    side = len(framed)
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    # Modules look random: at one pixel for each there is nothing to gain by compressing.
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 0 if scale == 1 else 1)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def svg_path(modules: Bits) -> str:
    """The dark modules as strokes of a path, one unit for a module and one unit wide; the border is counted in."""
    packed = np.packbits(modules, axis=1)
    length, strokes = packed.shape[1], [_STROKES[byte] for byte in packed.tobytes()]
    for at in range(len(modules)):
        strokes[at * length] = f"M{BORDER} {BORDER + at}.5{strokes[at * length]}"
    return "".join(strokes)


def svg(modules: Bits, title: str = "") -> str:
    """A symbol with its border as a drawing of its own, as wide as it is put; `title` is read out."""
    side = len(modules) + 2 * BORDER
    named = f"<title>{_escaped(title)}</title>" if title else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges" role="img">'
        f'{named}<path fill="#fff" d="M0 0h{side}v{side}H0z"/><path stroke="#000" d="{svg_path(modules)}"/></svg>'
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _strokes(byte: int) -> str:
    """Eight modules as moves and lines to the right."""
    text, run = f"{byte:08b}", ""
    while text:
        rest = text.lstrip(text[0])
        length = len(text) - len(rest)
        run += f"h{length}" if text[0] == "1" else f"m{length} 0"
        text = rest
    return run


_STROKES: Final = [_strokes(byte) for byte in range(256)]


# Error correction


def _doubled(value: int) -> int:
    return value << 1 ^ (_POLYNOMIAL if value & 0x80 else 0)


def _powers() -> tuple[Bits, Bits]:
    exponents, logarithms, value = np.zeros(510, np.uint8), np.zeros(256, np.uint8), 1
    for at in range(255):
        exponents[at] = exponents[at + 255] = value
        logarithms[value] = at
        value = _doubled(value)
    return exponents, logarithms


_EXP, _LOG = _powers()


def _times(left: Bits, right: Bits) -> Bits:
    product = _EXP[_LOG[left].astype(np.int64) + _LOG[right]]
    return np.where((left == 0) | (right == 0), np.uint8(0), product)


def _remainders(data: int, check: int) -> Bits:
    """What a one in each of `data` codewords leaves as check codewords: rows of `check` bytes, in order."""
    generator = np.array([1], np.uint8)
    for at in range(check):
        longer = np.zeros(len(generator) + 1, np.uint8)
        longer[:-1] = generator
        longer[1:] ^= _times(generator, np.full(len(generator), _EXP[at]))
        generator = longer
    rows = np.zeros((data, check), np.uint8)
    left = generator[1:]
    for at in range(data - 1, -1, -1):
        rows[at] = left
        shifted = np.append(left[1:], np.uint8(0))
        left = shifted ^ _times(np.full(check, left[0]), generator[1:])
    return rows


def _blocks(version: int, level: Level) -> list[tuple[int, int]]:
    """(data codewords, check codewords) of each block of a version (ISO/IEC 18004 table 9)."""
    tables: Any = consts
    infos = tables.ECC[version][getattr(tables, f"ERROR_LEVEL_{level}")]
    return [(it.num_data, it.num_total - it.num_data) for it in infos for _ in range(it.num_blocks)]


def _unpacked_rows(blocks: list[tuple[int, int]], places: npt.NDArray[np.intp], modules: int) -> list[Bits]:
    """For each half of each data codeword, for each of its 16 values: the modules that it turns."""
    longest = max(data for data, _ in blocks)
    order = [(block, at) for at in range(longest) for block, (data, _) in enumerate(blocks) if at < data]
    order += [(block, blocks[block][0] + at) for at in range(blocks[0][1]) for block in range(len(blocks))]
    position = {it: at for at, it in enumerate(order)}
    found = []
    for block, (data, check) in enumerate(blocks):
        remainders = _remainders(data, check)
        behind = [position[block, data + at] for at in range(check)]
        for at in range(data):
            for shift in (4, 0):
                values = np.arange(16, dtype=np.uint8) * np.uint8(1 << shift)
                words = np.zeros((16, len(order)), np.uint8)
                words[:, position[block, at]] = values
                words[:, behind] = _times(values[:, None].repeat(check, 1), remainders[at][None, :].repeat(16, 0))
                turned = np.zeros((16, modules), np.uint8)
                turned[:, places] = np.unpackbits(words, axis=1)
                found.append(turned)
    return found


def _places(made: segno.QRCode) -> npt.NDArray[np.intp]:
    """Where each bit of the interleaved codewords stands (ISO/IEC 18004 §7.7.3), as a number of a module."""
    free = _free(made)
    width, found, upwards = len(free), [], True
    for right in (*range(width - 1, 6, -2), *range(5, 0, -2)):  # the sixth column is a timing pattern
        for row in range(width - 1, -1, -1) if upwards else range(width):
            found += [row * width + column for column in (right, right - 1) if free[row, column]]
        upwards = not upwards
    return np.array(found[: len(found) & ~7], np.intp)


def _free(made: segno.QRCode) -> npt.NDArray[np.bool_]:
    """The modules that hold codewords: all but patterns, format and version (ISO/IEC 18004 §6.3, §7.9, §7.10)."""
    tables: Any = consts
    alignment = {tables.TYPE_ALIGNMENT_PATTERN_DARK, tables.TYPE_ALIGNMENT_PATTERN_LIGHT}
    # The library's types are right about these; around the corner at the upper right some are not.
    kinds = made.matrix_iter(border=0, verbose=True)
    free = np.array([[module not in alignment for module in row] for row in kinds])
    free[6, :] = free[:, 6] = False
    free[:9, :9] = free[:9, -8:] = free[-8:, :9] = False
    if int(made.version) >= _FIRST_WITH_VERSION:
        free[:6, -11:-8] = free[-11:-8, :6] = False
    return free
