//! Identity, TLS, ask and session between two machines.
