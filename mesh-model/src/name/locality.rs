//! Where something runs.
use std::fmt;
use std::sync::Arc;

/// A region, a zone in it and a sub-zone in that; empty parts are unknown.
///
/// ```
/// # use mesh_model::name::Locality;
/// let locality = Locality::parse("eu/west/a");
/// assert_eq!((locality.region(), locality.zone(), locality.sub_zone()), ("eu", "west", "a"));
/// assert_eq!(Locality::parse("eu//a").to_string(), "eu");
/// ```
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Locality {
    region: Arc<str>,
    zone: Arc<str>,
    sub_zone: Arc<str>,
}

impl Locality {
    /// A locality of three parts.
    pub fn new(region: &str, zone: &str, sub_zone: &str) -> Self {
        Self { region: region.into(), zone: zone.into(), sub_zone: sub_zone.into() }
    }

    /// Splits `region/zone/sub-zone`; missing parts are empty, those beyond the third are dropped.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/context.go` `SplitLocalityLabel`; `pkg/util` `ConvertLocality`.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.split('/');
        let mut part = || parts.next().unwrap_or_default();
        Self::new(part(), part(), part())
    }

    /// The region, `""` if unknown.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The zone, `""` if unknown.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// The sub-zone, `""` if unknown.
    pub fn sub_zone(&self) -> &str {
        &self.sub_zone
    }

    /// Returns whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.region.is_empty() && self.zone.is_empty() && self.sub_zone.is_empty()
    }
}

impl fmt::Display for Locality {
    /// Prints `region/zone/sub-zone` up to the first part that is empty.
    ///
    /// Upstream: istio/istio `pilot/pkg/networking/util/util.go` `LocalityToString`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in [&self.region, &self.zone, &self.sub_zone].into_iter().enumerate() {
            if part.is_empty() {
                break;
            }
            if index > 0 {
                f.write_str("/")?;
            }
            f.write_str(part)?;
        }
        Ok(())
    }
}
