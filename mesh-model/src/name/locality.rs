//! Where something runs.
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// A region, a zone in it and a sub-zone in that; empty parts are unknown.
///
/// ```
/// # use mesh_model::name::Locality;
/// let locality = Locality::parse("eu/west/a");
/// assert_eq!((locality.region(), locality.zone(), locality.sub_zone()), ("eu", "west", "a"));
/// assert_eq!(Locality::parse("eu//a").to_string(), "eu");
/// ```
#[derive(Clone, Default)]
pub struct Locality {
    text: Arc<str>,
    // INVARIANT: the lengths of the parts, which stand in the text one after the other with a slash
    // between two; parts that the text does not have are empty. All others are within the text.
    lens: [u32; 3],
}

impl Locality {
    /// A locality of three parts.
    pub fn new(region: &str, zone: &str, sub_zone: &str) -> Self {
        let lens = [region, zone, sub_zone].map(|part| narrow(part.len()));
        Self { text: [region, "/", zone, "/", sub_zone].concat().into(), lens }
    }

    /// Splits `region/zone/sub-zone`; missing parts are empty, those beyond the third are dropped.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/model/context.go` `SplitLocalityLabel`; `pkg/util` `ConvertLocality`.
    pub fn parse(text: &str) -> Self {
        Self::of(text.into())
    }

    /// As [`parse`](Self::parse); the locality shares the text.
    pub fn of(text: Arc<str>) -> Self {
        let mut parts = text.split('/');
        let mut len = || narrow(parts.next().unwrap_or_default().len());
        let lens = [len(), len(), len()];
        Self { text, lens }
    }

    /// The text as it was written: places that mean the same may be written differently.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The region, `""` if unknown.
    pub fn region(&self) -> &str {
        let [len, ..] = self.lens;
        self.part(0, len)
    }

    /// The zone, `""` if unknown.
    pub fn zone(&self) -> &str {
        let [before, len, _] = self.lens;
        self.part(before.saturating_add(1), len)
    }

    /// The sub-zone, `""` if unknown.
    pub fn sub_zone(&self) -> &str {
        let [region, zone, len] = self.lens;
        self.part(region.saturating_add(zone).saturating_add(2), len)
    }

    /// Returns whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.lens == [0; 3]
    }

    fn parts(&self) -> [&str; 3] {
        [self.region(), self.zone(), self.sub_zone()]
    }

    /// A part of the text; one that the text does not have is empty.
    fn part(&self, start: u32, len: u32) -> &str {
        let range = wide(start)..wide(start.saturating_add(len));
        self.text.get(range).unwrap_or_default()
    }

    /// The text up to the last part that is not empty.
    fn told(&self) -> &[u8] {
        let end = match self.lens {
            [region, 0, 0] => region,
            [region, zone, 0] => region.saturating_add(zone).saturating_add(1),
            [region, zone, sub_zone] => {
                region.saturating_add(zone).saturating_add(sub_zone).saturating_add(2)
            }
        };
        self.text.as_bytes().get(..wide(end)).unwrap_or_default()
    }
}

fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn wide(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

impl PartialEq for Locality {
    fn eq(&self, other: &Self) -> bool {
        self.lens == other.lens
            && (Arc::ptr_eq(&self.text, &other.text) || self.told() == other.told())
    }
}

impl Eq for Locality {}

impl PartialOrd for Locality {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Locality {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other { Ordering::Equal } else { self.parts().cmp(&other.parts()) }
    }
}

impl Hash for Locality {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl fmt::Debug for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [region, zone, sub_zone] = self.parts();
        f.debug_struct("Locality")
            .field("region", &region)
            .field("zone", &zone)
            .field("sub_zone", &sub_zone)
            .finish()
    }
}

impl fmt::Display for Locality {
    /// Prints `region/zone/sub-zone` up to the first part that is empty.
    ///
    /// Upstream: istio/istio `pilot/pkg/networking/util/util.go` `LocalityToString`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts().into_iter().enumerate() {
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
