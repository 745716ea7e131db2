//! Envoy and Istio wire types, generated and checked in.
