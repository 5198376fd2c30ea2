"""Options of trace that MegEngine has; they are accepted and checked, but memory is planned without them."""

from .._errors import ArgumentError


class SublinearMemoryConfig:
    """Options of MegEngine's sublinear memory optimization.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(self, thresh_nr_try: int = 10, genetic_nr_iter: int = 0, genetic_pool_size: int = 20,
                 lb_memory_mb: int = 0, num_worker: int = 1):  # fmt: skip
        if thresh_nr_try < 0 or genetic_nr_iter < 0 or genetic_pool_size < 0 or lb_memory_mb < 0:
            raise ArgumentError(
                "thresh_nr_try, genetic_nr_iter, genetic_pool_size and lb_memory_mb must not be negative"
            )
        if num_worker <= 0:
            raise ArgumentError(f"num_worker must be positive, not {num_worker}")
        self.thresh_nr_try = thresh_nr_try
        self.genetic_nr_iter = genetic_nr_iter
        self.genetic_pool_size = genetic_pool_size
        self.lb_memory_mb = lb_memory_mb
        self.num_worker = num_worker


class DTRConfig:
    """Options of MegEngine's dynamic tensor rematerialization."""

    def __init__(self, eviction_threshold: int = 0, evictee_minimum_size: int = 1048576,
                 recomp_memory_factor: float = 1, recomp_time_factor: float = 1):  # fmt: skip
        if eviction_threshold <= 0:
            raise ArgumentError(f"eviction_threshold must be greater than zero, but is {eviction_threshold}")
        if evictee_minimum_size < 0:
            raise ArgumentError(f"evictee_minimum_size must not be negative, but is {evictee_minimum_size}")
        self.eviction_threshold = eviction_threshold
        self.evictee_minimum_size = evictee_minimum_size
        self.recomp_memory_factor = recomp_memory_factor
        self.recomp_time_factor = recomp_time_factor


class GraphOptimizationConfig:
    """Options of MegEngine's graph compiler; fusing is always on here."""

    def __init__(self):
        self.jit_fuse_dimshuffle = None
        self.jit_fuse_reduce = None

    def __repr__(self):
        shown = {None: "UNSET", True: "ON", False: "OFF"}
        flags = (f"{name} = {shown.get(value, value)}" for name, value in vars(self).items())
        return f"GraphOptimizationConfig {{ {', '.join(flags)} }}"
