//! Reaching a target and reading its profiles, safely.
