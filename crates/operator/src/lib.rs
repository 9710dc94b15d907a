//! The operator: watches, meters, acts and reports.
