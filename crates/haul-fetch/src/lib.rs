//! One HTTP source, read in segments.
