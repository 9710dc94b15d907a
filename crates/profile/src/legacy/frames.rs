//! What views drop from legacy profiles: the frames of the measuring itself. google/pprof writes these expressions into
//! every legacy profile that it reads, so they are part of its bytes.

/// The frames to drop and to keep of a profile with sample types of these kinds.
pub(super) fn of(kinds: &[&[u8]]) -> (String, &'static str) {
    match kinds {
        [b"allocations", b"size"]
        | [b"objects", b"space"]
        | [b"inuse_objects", b"inuse_space"]
        | [b"alloc_objects", b"alloc_space"]
        | [b"alloc_objects", b"alloc_space", b"inuse_objects", b"inuse_space"] => {
            (ALLOCATION.join("|"), ALLOCATION_KEPT)
        }
        [b"contentions", b"delay"] => (LOCK.join("|"), ""),
        _ => (PROFILER.join("|"), ""),
    }
}

const ALLOCATION: [&str; 49] = [
    // POSIX.
    "calloc",
    "cfree",
    "malloc",
    "free",
    "memalign",
    "do_memalign",
    "(__)?posix_memalign",
    "pvalloc",
    "valloc",
    "realloc",
    // tcmalloc.
    "tcmalloc::.*",
    "tc_calloc",
    "tc_cfree",
    "tc_malloc",
    "tc_free",
    "tc_memalign",
    "tc_posix_memalign",
    "tc_pvalloc",
    "tc_valloc",
    "tc_realloc",
    "tc_new",
    "tc_delete",
    "tc_newarray",
    "tc_deletearray",
    "tc_new_nothrow",
    "tc_newarray_nothrow",
    // macOS.
    "malloc_zone_malloc",
    "malloc_zone_calloc",
    "malloc_zone_valloc",
    "malloc_zone_realloc",
    "malloc_zone_memalign",
    "malloc_zone_free",
    // Go.
    r"runtime\..*",
    // C++ and others.
    "BaseArena::.*",
    "(::)?do_malloc_no_errno",
    "(::)?do_malloc_pages",
    "(::)?do_malloc",
    "DoSampledAllocation",
    "MallocedMemBlock::MallocedMemBlock",
    "_M_allocate",
    "__builtin_(vec_)?delete",
    "__builtin_(vec_)?new",
    "__gnu_cxx::new_allocator::allocate",
    "__libc_malloc",
    "__malloc_alloc_template::allocate",
    "allocate",
    "cpp_alloc",
    r"operator new(\[\])?",
    "simple_alloc::allocate",
];

/// Frames of Go's runtime in the middle of a stack.
const ALLOCATION_KEPT: &str = r"runtime\.panic|runtime\.reflectcall|runtime\.call[0-9]*";

const PROFILER: [&str; 5] = [
    "ProfileData::Add",
    "ProfileData::prof_handler",
    "CpuProfiler::prof_handler",
    "__pthread_sighandler",
    "__restore",
];

const LOCK: [&str; 17] = [
    "RecordLockProfileData",
    "(base::)?RecordLockProfileData.*",
    "(base::)?SubmitMutexProfileData.*",
    "(base::)?SubmitSpinLockProfileData.*",
    "(base::Mutex::)?AwaitCommon.*",
    "(base::Mutex::)?Unlock.*",
    "(base::Mutex::)?UnlockSlow.*",
    "(base::Mutex::)?ReaderUnlock.*",
    "(base::MutexLock::)?~MutexLock.*",
    "(Mutex::)?AwaitCommon.*",
    "(Mutex::)?Unlock.*",
    "(Mutex::)?UnlockSlow.*",
    "(Mutex::)?ReaderUnlock.*",
    "(MutexLock::)?~MutexLock.*",
    "(SpinLock::)?Unlock.*",
    "(SpinLock::)?SlowUnlock.*",
    "(SpinLockHolder::)?~SpinLockHolder.*",
];
