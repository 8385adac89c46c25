"""What a tree of folders means, told plainly: by the names of its files and what they are, without opening any.

It is written apart from the product, by strings instead of paths, to be compared with it on random trees.
"""

from dataclasses import dataclass, field

from anomaly.data import Why

Files = dict[str, str]
"""Path → "part", "mask", "blank", "drawn" or "text"."""

JUNK = ("__macosx", "@eadir", "#recycle", "$recycle.bin", "lost+found", "thumbs.db", "desktop.ini")
MASK_WORDS = ("ground_truth", "gt", "mask", "masks", "label", "labels")
PICTURES = ("png", "jpg", "bmp")
GOOD_WORDS = ("good", "ok", "normal")
BESIDE = ("_mask", "_label", "_gt")


@dataclass
class Meaning:
    """The form, or the refusal; for each file its split, label, kind and masks, or why it is left out."""

    form: str = ""
    refused: str = ""
    images: dict[str, tuple[str | None, str, str, tuple[str, ...]]] = field(default_factory=dict)
    left_out: dict[str, Why] = field(default_factory=dict)


class _RefusalError(Exception):
    """The words of a refusal."""


def meaning(files: Files, normal: tuple[str, ...]) -> Meaning:
    try:
        return _meaning(files, normal)
    except _RefusalError as refusal:
        return Meaning(refused=str(refusal))


def _meaning(files: Files, normal: tuple[str, ...]) -> Meaning:
    found = Meaning()
    pictures = _without_junk(files, found)
    tops = _masks_in_folders(pictures, files, normal)
    beside, nobodys = _masks_beside([path for path in pictures if path not in tops], files)
    pictures = [path for path in pictures if path not in tops and path not in beside and path not in nobodys]
    if not pictures:
        raise _RefusalError("no images found")
    splits = sorted(
        {path.split("/")[0] for path in files if "/" in path and path.split("/")[0].lower() in ("train", "test")}
    )
    if not splits and _is_too_high(pictures, normal):
        raise _RefusalError("below it")
    if splits:
        places = _by_split(pictures, tops, beside)
        is_plain = not any(kind for _, kind in places.values()) and bool(places)
    else:
        are_told = not normal and len(_masks(pictures, tops, beside)) == len(pictures)
        places = dict.fromkeys(pictures, (None, "")) if are_told else _without_splits(pictures, normal)
        is_plain = not any(kind for _, kind in places.values())
    kinds = sorted({kind for _, kind in places.values() if kind})
    if is_plain and normal:
        raise _RefusalError("has no meaning here" if splits else "has no class folders")
    if not is_plain:
        good = [kind for kind in kinds if kind.lower() == "good"]
        if not kinds:
            raise _RefusalError("has no class folders")
        if not normal and not good:
            raise _RefusalError("which classes are normal")
        if any(name not in kinds for name in normal):
            raise _RefusalError("has no class ")
        normal = normal or tuple(good)
    found.form = "folder" if is_plain else "mvtec" if splits and {n.lower() for n in normal} == {"good"} else "classes"
    masks = _masks(pictures, tops, beside)
    used: set[str] = set()
    for path in pictures:
        if path not in places:
            found.left_out[path] = Why.ELSEWHERE
            continue
        split, kind = places[path]
        own = masks.get(path, ())
        is_told = not (kind and split == "test") or path in beside.values()
        is_defective = is_told and any(files[mask] != "blank" for mask in own)
        is_normal = (kind == "" or kind in normal) and not is_defective
        found.images[path] = (split, "normal" if is_normal else "anomalous", kind, own)
        used.update(own)
    may_be_defective = any(label == "anomalous" or not kind for _, label, kind, _ in found.images.values())
    if tops and may_be_defective and used.isdisjoint(tops):
        raise _RefusalError("to an image by its name")
    found.left_out |= {mask: Why.MASK for mask in (*tops, *beside, *nobodys) if mask not in used}
    return found


def _without_junk(files: Files, found: Meaning) -> list[str]:
    pictures = []
    for path in sorted(files, key=lambda path: path.split("/")):
        if any(name.startswith(".") or name.lower() in JUNK for name in path.split("/")):
            found.left_out[path] = Why.HIDDEN
        elif files[path] == "drawn":
            found.left_out[path] = Why.OUTPUT
        elif path.rpartition(".")[2].lower() not in PICTURES:
            found.left_out[path] = Why.NO_IMAGE
        else:
            pictures.append(path)
    return pictures


def _masks_in_folders(pictures: list[str], files: Files, normal: tuple[str, ...]) -> dict[str, str]:
    """Mask → the folder of masks that it lies in."""
    tops: dict[str, str] = {}
    for path in pictures:
        folders = path.split("/")[:-1]
        for number, name in enumerate(folders):
            if name.lower() in MASK_WORDS and name not in normal:
                tops[path] = "/".join(folders[: number + 1])
                break
    masked = {top for top in tops.values() if top.lower().endswith("ground_truth")}
    masked |= {top for top in tops.values() if _are_masks([path for path in tops if tops[path] == top], files)}
    return {path: top for path, top in tops.items() if top in masked}


def _are_masks(paths: list[str], files: Files) -> bool:
    """Most of them are."""
    return 2 * sum(files[path] != "part" for path in paths) > len(paths)


def _masks_beside(pictures: list[str], files: Files) -> tuple[dict[str, str], set[str]]:
    """Mask → its picture; and masks of no picture."""
    beside: dict[str, str] = {}
    nobodys: set[str] = set()
    for folder in dict.fromkeys(_folder_and_stem(path)[0] for path in pictures):
        stem_of = {path: _folder_and_stem(path)[1] for path in pictures if _folder_and_stem(path)[0] == folder}
        base_of = {
            path: stem.removesuffix(end) for path, stem in stem_of.items() for end in BESIDE if stem.endswith(end)
        }
        after = [path for path, base in base_of.items() if base in stem_of.values()]
        masks: set[str] = set()
        if after and _are_masks(after, files):
            masks = {*after, *(path for path in base_of if path not in after and files[path] != "part")}
        lossy = {stem for path, stem in stem_of.items() if path.endswith(".jpg") and path not in masks}
        twins = [path for path in stem_of if path not in masks and not path.endswith(".jpg") and stem_of[path] in lossy]
        are_all = bool(twins) and _are_masks(twins, files) and files[twins[0]] != "part"
        masks |= {path for path in twins if are_all or files[path] != "part"}
        rest = [path for path in stem_of if path not in masks]
        for mask, owner in _matched(rest, sorted(masks)).items():
            beside[mask] = owner
        nobodys |= masks - set(beside)
    return beside, nobodys


def _matched(pictures: list[str], masks: list[str]) -> dict[str, str]:
    """Mask → its picture, of pictures in one folder and masks in one folder."""
    owners: dict[str, str] = {}
    for mask in masks:
        stem = _folder_and_stem(mask)[1]
        for name in (stem, *(stem.removesuffix(end) for end in BESIDE if stem.endswith(end))):
            called = [path for path in pictures if _folder_and_stem(path)[1] == name]
            if len(called) > 1:
                raise _RefusalError("can belong to")
            if called:
                owners[mask] = called[0]
                break
    if len(set(owners.values())) < len(owners):
        raise _RefusalError("several files can be its mask")
    return owners


def _is_too_high(pictures: list[str], normal: tuple[str, ...]) -> bool:
    below: dict[str, set[str]] = {}
    splits: dict[str, set[str]] = {}
    for path in pictures:
        folders = path.split("/")[:-1]
        for number in range(1, len(folders)):
            below.setdefault("/".join(folders[:number]), set()).add(folders[number])
        inner = [number for number, name in enumerate(folders) if number and name.lower() in ("train", "test")]
        if inner:
            splits.setdefault("/".join(folders[: inner[0]]), set()).add(folders[inner[0]].lower())
            if len(folders) > inner[0] + 1:
                return True
    if any(len(found) == 2 for found in splits.values()):
        return True
    classes = [names for names in below.values() if len(names) > 1 and any(n.lower() in GOOD_WORDS for n in names)]
    return bool(classes) and not normal


def _by_split(pictures: list[str], tops: dict[str, str], beside: dict[str, str]) -> dict[str, tuple[str | None, str]]:
    places: dict[str, tuple[str | None, str]] = {}
    loose: dict[str, tuple[str | None, str]] = {}
    for path in pictures:
        top, *rest = path.split("/")
        if top.lower() in ("train", "test") and rest:
            (places if len(rest) > 1 else loose)[path] = (top.lower(), rest[0] if len(rest) > 1 else "")
    if all(split != "train" for split, _ in places.values()):
        has_loose_tests = any(split == "test" for split, _ in loose.values())
        with_masks = _masks(pictures, tops, beside) if has_loose_tests else {}
        places |= {path: place for path, place in loose.items() if place[0] == "train" or path in with_masks}
    return places


def _without_splits(pictures: list[str], normal: tuple[str, ...]) -> dict[str, tuple[str | None, str]]:
    tops = {path.split("/")[0] for path in pictures if "/" in path}
    has_loose = any("/" not in path for path in pictures)
    are_classes = len(tops) > 1 and (not has_loose or any(top.lower() in GOOD_WORDS for top in tops))
    if normal or are_classes:
        return {path: (None, path.split("/")[0]) for path in pictures if "/" in path}
    return dict.fromkeys(pictures, (None, ""))


def _masks(pictures: list[str], tops: dict[str, str], beside: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Picture → its masks. Those of a folder of masks count more than those beside it."""
    found = {picture: tuple(sorted(mask for mask in beside if beside[mask] == picture)) for picture in beside.values()}
    for folder in dict.fromkeys(_folder_and_stem(path)[0] for path in pictures):
        inside = [path for path in pictures if _folder_and_stem(path)[0] == folder]
        names = folder.lower().split("/")
        wanted = [folder.lower()] + (["/".join(names[1:])] if names[0] == "test" else [])
        places = dict.fromkeys(_folder(mask) for mask in tops if _place_of(mask, tops[mask]) in wanted)
        giving = [
            owners
            for place in places
            if (owners := _matched(inside, sorted(mask for mask in tops if _folder(mask) == place)))
        ]
        if len(giving) > 1:
            raise _RefusalError("lie in two folders")
        for owners in giving:
            found |= {picture: (mask,) for mask, picture in owners.items()}
    return found


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _folder_and_stem(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name.rpartition(".")[0].lower()


def _place_of(mask: str, top: str) -> str:
    """Where its pictures lie: its folder without the word that says that these are masks."""
    above = top.rpartition("/")[0]
    below = mask[len(top) + 1 :].rpartition("/")[0]
    return "/".join(part for part in (above, below) if part).lower()
