//! Who is fit: what an endpoint's state means for the traffic it may get.
pub mod active;
pub mod outlier;
pub mod status;
