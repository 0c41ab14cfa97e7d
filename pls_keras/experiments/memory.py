"""How the C library treats memory that a training step frees."""

import ctypes

# Parameters of mallopt(3), as glibc's malloc.h numbers them, and the values that they get.
M_TRIM_THRESHOLD, NEVER = -1, 2**31 - 1
M_MMAP_MAX, NONE = -4, 0


def keep_memory():
    """Have this process keep the memory that a step frees, for the next step.

    Otherwise it goes back to the system and comes anew, page by page, which in a virtual machine took
    half of the time of training on images. Does nothing where the C library is not glibc.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_TRIM_THRESHOLD, NEVER)
    mallopt(M_MMAP_MAX, NONE)
