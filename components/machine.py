"""What the machine refuses: no bug, and no property of the data, so it is told with what to do about it."""

import errno

_ADVICE = {
    errno.ENOSPC: "no space is left on the disk; free some",
    errno.EDQUOT: "this user's share of the disk is used up; free some",
    errno.EFBIG: "a file would be larger than this disk or this user's limits allow; use another disk",
    errno.EROFS: "the disk can only be read; write to another one",
    errno.EACCES: "this user may not do that there; change the owner or the mode, or use another folder",
    errno.EPERM: "this user may not do that there; change the owner or the mode, or use another folder",
    errno.EIO: "the disk does not answer as it should; use another one",
    errno.EMFILE: "too many files are open; raise the limit (`ulimit -n`)",
    errno.ENFILE: "too many files are open on this machine; close other programs",
    errno.ENAMETOOLONG: "the path is too long; use a folder with a shorter one",
    errno.ENOTDIR: "a file stands where a folder should be; remove it, or use another folder",
    errno.EISDIR: "a folder stands where a file should be; remove it, or use another folder",
    errno.EEXIST: "something of that name is there already; remove it, or use another folder",
    errno.ELOOP: "links lead in a circle; use another path",
    errno.ENOMEM: "no memory is left; close other programs, or use fewer rows",
}


_WITHOUT_NUMBER = {
    "AF_UNIX path too long": "the path of the folder for temporary files is too long; set TMPDIR to a shorter one",
    "No usable temporary directory": "no folder for temporary files can be written to; set TMPDIR to one that can",
}
"""Texts of Python's own errors that carry no number, or one that says something else."""


def refusal(error: BaseException) -> str | None:
    """What the machine lacks and what to do, as a constant text that may travel: no path, no value.

    None for everything that may be a fault of the program: a file that is not there, a connection that ends.
    """
    if isinstance(error, MemoryError):
        return _ADVICE[errno.ENOMEM]
    if not isinstance(error, OSError):
        return None
    said = next((advice for text, advice in _WITHOUT_NUMBER.items() if text in str(error)), None)
    return said or _ADVICE.get(error.errno or 0)
