"""SHA256SUMS: which files a bundle has, and that they are those that were written.

Each file is read once, and those bytes are checked before anything parses them.
"""

import hashlib
import json
import stat
from pathlib import Path

from anomaly.bundle.layout import CARD, EVIDENCE, HISTORY, MANIFEST, REQUIRED, SUMS, is_foreign
from anomaly.errors import CorruptBundleError, reason_of

_TEXTS = (CARD, HISTORY, MANIFEST)


def read_verified(folder: Path) -> dict[str, bytes]:
    """The bytes of every file of a bundle. What systems and editors leave in folders is passed over, unopened.

    Raises:
        CorruptBundleError: a file differs from what was written, is missing, was added, or is no plain file.
    """
    try:
        present = {child.name for child in folder.iterdir() if not is_foreign(child.name)}
        expected = {*REQUIRED, SUMS, *({EVIDENCE} & present)}  # which not every bundle has
        if missing := sorted(expected - present):
            raise corrupt(folder, f"{', '.join(missing)} missing")
        if added := sorted(present - expected):
            raise _added(folder, added)
        if odd := [name for name in sorted(expected) if not stat.S_ISREG((folder / name).lstat().st_mode)]:
            raise corrupt(folder, f"{', '.join(odd)} not a plain file")
        files = {name: (folder / name).read_bytes() for name in sorted(expected)}
    except OSError as error:
        raise corrupt(folder, f"{Path(error.filename or folder).name} cannot be read ({reason_of(error)})") from error
    if files[SUMS] != _sums_of(files):
        recorded = set(files[SUMS].decode(errors="replace").splitlines())
        if rewritten := _other_line_ends(files):
            raise CorruptBundleError(
                f"line ends were changed in the bundle {folder}: those of {', '.join(rewritten)} are CR LF, and were "
                "LF when it was written. Nothing else differs. Git does this at checkout, and so do some programs that "
                "copy. For git write 'models/** -text' into .gitattributes and check the files out again; else copy "
                "the bundle again, as binary files"
            )
        if EVIDENCE in files and files[SUMS] == _sums_of({name: files[name] for name in files if name != EVIDENCE}):
            raise _added(folder, [EVIDENCE])
        if EVIDENCE not in files and any(line.endswith(f"  {EVIDENCE}") for line in recorded):
            raise corrupt(folder, f"{EVIDENCE} missing")
        changed = [name for name, data in files.items() if name != SUMS and _sum_line(name, data) not in recorded]
        raise corrupt(folder, f"{', '.join(changed) or SUMS} changed since the bundle was written")
    return files


def schema_of(folder: Path) -> int | None:
    """The schema that the manifest names, if it is as it was written, whatever the other files are; else None."""
    try:
        if not all(stat.S_ISREG((folder / name).lstat().st_mode) for name in (MANIFEST, SUMS)):
            return None
        manifest, recorded = (folder / MANIFEST).read_bytes(), (folder / SUMS).read_text(encoding="utf-8")
        if _sum_line(MANIFEST, manifest) not in recorded.splitlines():
            return None
        stored = json.loads(manifest)
    except (OSError, ValueError):
        return None
    found = stored.get("schema_version") if isinstance(stored, dict) else None
    return found if isinstance(found, int) else None


def sums(files: dict[str, bytes]) -> bytes:
    """In the format of `sha256sum`, so that `sha256sum --check SHA256SUMS` works too."""
    return "".join(f"{_sum_line(name, files[name])}\n" for name in sorted(files)).encode()


def _other_line_ends(files: dict[str, bytes]) -> list[str]:
    """The text files that have CR LF, if all sums are right without the CR; else none."""
    rewritten = [name for name in (*_TEXTS, SUMS) if b"\r\n" in files[name]]
    restored = files | {name: files[name].replace(b"\r\n", b"\n") for name in rewritten}
    return rewritten if restored[SUMS] == _sums_of(restored) else []


def _sums_of(files: dict[str, bytes]) -> bytes:
    """What SHA256SUMS should say of the files beside it."""
    return sums({name: data for name, data in files.items() if name != SUMS})


def _sum_line(name: str, data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()}  {name}"


def _added(folder: Path, names: list[str]) -> CorruptBundleError:
    return CorruptBundleError(
        f"the bundle {folder} is not as it was written: {', '.join(names)} added. Remove what was added"
    )


def corrupt(folder: Path, why: str) -> CorruptBundleError:
    """The error, not yet raised, that says what is wrong with the bundle in `folder`."""
    return CorruptBundleError(f"the bundle {folder} is corrupt: {why}. Restore it from a copy, or train it again")
