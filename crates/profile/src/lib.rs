//! pprof profiles: check, decode, encode and algebra.
