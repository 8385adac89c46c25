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


def meaning(files: Files, normal: tuple[str, ...]) -> Meaning:
    found = Meaning()
    pictures = _without_junk(files, found)
    tops = _masks_in_folders(pictures, files, normal)
    beside = _masks_beside([path for path in pictures if path not in tops], files)
    pictures = [path for path in pictures if path not in tops and path not in beside]
    if not pictures:
        return Meaning(refused="no images found")
    splits = sorted(
        {path.split("/")[0] for path in files if "/" in path and path.split("/")[0].lower() in ("train", "test")}
    )
    if not splits and _is_too_high(pictures, normal):
        return Meaning(refused="below it")
    places = _by_split(pictures, beside) if splits else _without_splits(pictures, normal)
    kinds = sorted({kind for _, kind in places.values() if kind})
    is_plain = not kinds and (not splits or places)
    if is_plain and normal:
        return Meaning(refused="has no meaning here" if splits else "has no class folders")
    if not is_plain:
        good = [kind for kind in kinds if kind.lower() == "good"]
        if not kinds:
            return Meaning(refused="has no class folders")
        if not normal and not good:
            return Meaning(refused="which classes are normal")
        if any(name not in kinds for name in normal):
            return Meaning(refused="has no class ")
        normal = normal or tuple(good)
    found.form = "folder" if is_plain else "mvtec" if splits and {n.lower() for n in normal} == {"good"} else "classes"
    used: set[str] = set()
    for path in pictures:
        if path not in places:
            found.left_out[path] = Why.ELSEWHERE
            continue
        split, kind = places[path]
        masks = _masks_of(path, list(places), tops, beside)
        if masks is None:
            return Meaning(refused="several files can be its mask")
        is_defective = any(files[m] != "blank" for m, picture in beside.items() if picture == path)
        is_normal = (kind == "" or kind in normal) and not is_defective
        found.images[path] = (split, "normal" if is_normal else "anomalous", kind, masks)
        used.update(masks)
    has_defects = any(label == "anomalous" for _, label, _, _ in found.images.values())
    if tops and has_defects and used.isdisjoint(tops):
        return Meaning(refused="belongs to an image by its name")
    found.left_out |= {mask: Why.MASK for mask in (*tops, *beside) if mask not in used}
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
    pictured = {top for path, top in tops.items() if files[path] == "part" and not top.lower().endswith("ground_truth")}
    return {path: top for path, top in tops.items() if top not in pictured}


def _masks_beside(pictures: list[str], files: Files) -> dict[str, str]:
    """Mask → its picture."""
    beside: dict[str, str] = {}
    for path in pictures:
        if files[path] == "part":
            continue
        folder, _, name = path.rpartition("/")
        stem = name.rpartition(".")[0].lower()
        bases = [stem.removesuffix(end) for end in BESIDE if stem.endswith(end)] or [stem]
        for other in pictures:
            other_folder, _, other_name = other.rpartition("/")
            if other != path and other_folder == folder and other_name.rpartition(".")[0].lower() == bases[0]:
                beside[path] = other
    return beside


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


def _by_split(pictures: list[str], beside: dict[str, str]) -> dict[str, tuple[str | None, str]]:
    places: dict[str, tuple[str | None, str]] = {}
    loose: dict[str, tuple[str | None, str]] = {}
    for path in pictures:
        top, *rest = path.split("/")
        if top.lower() in ("train", "test") and rest:
            (places if len(rest) > 1 else loose)[path] = (top.lower(), rest[0] if len(rest) > 1 else "")
    if all(split != "train" for split, _ in places.values()):
        with_masks = set(beside.values())
        places |= {path: place for path, place in loose.items() if place[0] == "train" or path in with_masks}
    return places


def _without_splits(pictures: list[str], normal: tuple[str, ...]) -> dict[str, tuple[str | None, str]]:
    tops = {path.split("/")[0] for path in pictures if "/" in path}
    has_loose = any("/" not in path for path in pictures)
    are_classes = len(tops) > 1 and (not has_loose or any(top.lower() in GOOD_WORDS for top in tops))
    if normal or are_classes:
        return {path: (None, path.split("/")[0]) for path in pictures if "/" in path}
    return dict.fromkeys(pictures, (None, ""))


def _masks_of(
    picture: str, pictures: list[str], tops: dict[str, str], beside: dict[str, str]
) -> tuple[str, ...] | None:
    """Of one with both kinds, that in the folder: of the first folder that has masks for its pictures.

    None where that folder has two files that can be the mask of one of them.
    """
    folder, stem = _folder_and_stem(picture)
    stems = [other_stem for other, other_stem in map(_folder_and_stem, pictures) if other == folder]
    names = folder.lower().split("/")
    wanted = [folder.lower()] + (["/".join(names[1:])] if names[0] == "test" else [])
    for place in wanted:
        inside = [mask for mask in tops if _place_of(mask, tops[mask]) == place]
        for top in dict.fromkeys(tops[mask] for mask in inside):
            named = [(_folder_and_stem(mask)[1].removesuffix("_mask"), mask) for mask in inside if tops[mask] == top]
            owned = [owner for owner, _ in named if owner in stems]
            if owned:
                own = tuple(mask for owner, mask in named if owner == stem)
                return None if len(owned) > len(set(owned)) else own or _beside(picture, beside)
    return _beside(picture, beside)


def _beside(picture: str, beside: dict[str, str]) -> tuple[str, ...]:
    return tuple(sorted(mask for mask, owner in beside.items() if owner == picture))


def _folder_and_stem(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name.rpartition(".")[0].lower()


def _place_of(mask: str, top: str) -> str:
    """Where its pictures lie: its folder without the word that says that these are masks."""
    above = top.rpartition("/")[0]
    below = mask[len(top) + 1 :].rpartition("/")[0]
    return "/".join(part for part in (above, below) if part).lower()
