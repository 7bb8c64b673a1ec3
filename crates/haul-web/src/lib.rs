//! The pages of the leader and the helper, served on loopback.
