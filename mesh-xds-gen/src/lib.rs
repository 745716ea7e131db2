//! What Envoy is told: xDS resources, snapshots, deltas and ADS sessions.
