"""The client for R: `python -I -m datasandbox.rbridge REQUEST.json` carries out one call and writes its answer to standard output.

Answer: four bytes little-endian size, that many bytes of JSON, then the columns one after the other. JSON is `{"error": {code, message}}`,
`{"value": …}`, or `{"rows", "columns": [{name, type, levels?, tz?}]}`. A column of `integer` or `logical` is 32-bit, of `double`, `Date`
(days), `POSIXct` (seconds) or `difftime` (seconds) 64-bit, little-endian as R keeps them; `character` is its `levels` distinct values, each
ended by NUL, and for each row the number of its value from 1. What R calls NA is NA.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import datasandbox as ds

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

NA = -(2**31)  # R's missing integer
EXACT = 2**53  # up to here a double holds every whole number


def carry_out(request: dict[str, Any], out: BinaryIO) -> None:
    """Do what R asked and write the answer; what the sandbox refuses becomes the answer."""
    try:
        match request["verb"]:
            case "sql":
                return table(ds.sql(request["sql"]), out)
            case "load":
                return table(ds.load(request["name"], request.get("columns"), request.get("limit")), out)
            case "info":
                found: Any = ds.info()
            case "check":
                found = ds.check(request["files"])
            case "export":
                found = ds.export(request["files"], request["title"], request["context"])
    except ds.SandboxError as error:
        return head({"error": {"code": error.code, "message": str(error)}}, out)
    return head({"value": {**found, "shown": repr(found)}}, out)


def head(about: dict[str, Any], out: BinaryIO) -> None:
    """Write the first part of an answer."""
    text = json.dumps(about, ensure_ascii=False, default=str).encode(errors="replace")
    out.write(len(text).to_bytes(4, "little") + text)


def table(frame: pd.DataFrame, out: BinaryIO) -> None:
    """Write a table."""
    columns = [(str(name), *column(frame.iloc[:, place])) for place, name in enumerate(frame.columns)]
    head({"rows": len(frame), "columns": [{"name": name, **about} for name, about, _ in columns]}, out)
    for _, _, parts in columns:
        out.writelines(parts)


def column(values: pd.Series) -> tuple[dict[str, Any], list[bytes]]:  # noqa: PLR0911 - one for each kind of column
    """Return what a column is for R, and its bytes."""
    import pandas as pd  # noqa: PLC0415 - datasandbox has imported it by now
    from pandas.api import types  # noqa: PLC0415

    missing = values.isna().to_numpy()
    kind = values.dtype
    if types.is_bool_dtype(kind):
        return {"type": "logical"}, [_whole(values, missing)]
    if types.is_integer_dtype(kind):
        present = values[~missing]
        low, high = (int(present.min()), int(present.max())) if len(present) else (0, 0)
        if low > NA and high < 2**31:
            return {"type": "integer"}, [_whole(values, missing)]
        if low >= -EXACT and high <= EXACT:
            return {"type": "double"}, [_real(values, missing)]
        return text(values.astype("object"), missing)  # a number that a double would change stays what it is, as text
    if types.is_float_dtype(kind):
        return {"type": "double"}, [_real(values, missing)]
    if isinstance(kind, pd.DatetimeTZDtype) or types.is_datetime64_dtype(kind):
        zone = str(kind.tz) if isinstance(kind, pd.DatetimeTZDtype) else "UTC"
        moments = values.dt.tz_convert("UTC").dt.tz_localize(None) if isinstance(kind, pd.DatetimeTZDtype) else values
        seconds = moments.astype("datetime64[us]").astype("int64") / 1e6
        if zone == "UTC" and kind != "datetime64[ns]" and bool((seconds[~missing] % 86400 == 0).all()):
            return {"type": "Date"}, [_real(seconds / 86400, missing)]
        return {"type": "POSIXct", "tz": zone}, [_real(seconds, missing)]
    if types.is_timedelta64_dtype(kind):
        return {"type": "difftime"}, [_real(values.dt.total_seconds(), missing)]
    return text(values.astype("object"), missing)


def text(values: pd.Series, missing: np.ndarray) -> tuple[dict[str, Any], list[bytes]]:
    """Return a column as text; what is no text is written as one would read it."""
    import pandas as pd  # noqa: PLC0415 - see above

    words = values[~missing].map(lambda value: value if isinstance(value, str) else str(value))
    codes, levels = pd.factorize(words)
    numbers = pd.Series(NA, index=range(len(values)), dtype="int32").to_numpy().copy()
    numbers[~missing] = codes + 1
    kept = b"".join(str(level).replace("\0", "").encode(errors="replace") + b"\0" for level in levels)
    return {"type": "character", "levels": len(levels)}, [kept, numbers.astype("<i4").tobytes()]


def _whole(values: pd.Series, missing: np.ndarray) -> bytes:
    return bytes(values.astype("object").where(~missing, NA).to_numpy().astype("<i4").tobytes())


def _real(values: pd.Series, missing: np.ndarray) -> bytes:
    numbers = (
        values.astype("float64").to_numpy().copy()
        if not missing.any()
        else values.astype("object").where(~missing, "nan").to_numpy().astype("<f8")
    )
    return bytes(numbers.astype("<f8").tobytes())


if __name__ == "__main__":
    carry_out(json.loads(Path(sys.argv[1]).read_text()), sys.stdout.buffer)
