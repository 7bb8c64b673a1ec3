//! Payloads, origins, simulated and namespace networks for haul's tests.
