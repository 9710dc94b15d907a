//! The ProfilingConfig resource, its schema and its validation into a policy.
