"""The same deck is the same bytes: neither the file nor the tables behind its charts say when they were written."""

from __future__ import annotations

import io
import re
import zipfile

_DATE = (1980, 1, 1, 0, 0, 0)
"""The first that a zip file can hold."""

_WRITTEN = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*(</dcterms:)")


def settled(package: bytes) -> bytes:
    """An Office file, and those within it, with one fixed date.

    Args:
        package: of PowerPoint or Excel.
    """
    found = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(found, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename.endswith(".xlsx"):
                content = settled(content)
            elif info.filename == "docProps/core.xml":
                content = _WRITTEN.sub(rb"\g<1>1980-01-01T00:00:00Z\g<3>", content)
            new.writestr(zipfile.ZipInfo(info.filename, _DATE), content, zipfile.ZIP_DEFLATED)
    return found.getvalue()
