//! Destinations that are one to the endpoints behind them: under whatever rule and from whatever control
//! plane clients have a port of a service, the same endpoints carry what they send.
use std::ops::Range;

use super::overload::Carriers;
use super::survey::Surveyed;

/// Destinations of one host, port and subset, next to each other.
#[derive(Clone, Debug)]
pub(super) struct Crowd<'m> {
    range: Range<usize>,
    joined: Option<Joined<'m>>,
}

/// The endpoints of several destinations, each once.
#[derive(Clone, Debug)]
struct Joined<'m> {
    carriers: Carriers<'m>,
    /// For each destination the numbers here of its own endpoints.
    numbers: Vec<Box<[u32]>>,
}

/// How a destination's own numbers of endpoints are to be read; none: as they are.
pub(super) type Renumbered<'c> = Option<&'c [u32]>;

impl<'m> Crowd<'m> {
    /// Those of destinations in order.
    pub(super) fn all(destinations: &[Surveyed<'m>]) -> Vec<Self> {
        let mut start = 0;
        let crowds = destinations.chunk_by(|one, other| one.key() == other.key());
        let crowd = |members: &[Surveyed<'m>]| {
            let range = start..start + members.len();
            start = range.end;
            Self { range, joined: (members.len() > 1).then(|| Joined::of(members)) }
        };
        crowds.map(crowd).collect()
    }

    /// The destinations, each with how its numbers are to be read.
    pub(super) fn members<'c>(
        &'c self,
        destinations: &'c [Surveyed<'m>],
    ) -> impl Iterator<Item = (&'c Surveyed<'m>, Renumbered<'c>)> {
        let members = destinations.get(self.range.clone()).unwrap_or_default();
        let numbers = |index: usize| self.joined.as_ref()?.numbers.get(index).map(AsRef::as_ref);
        members.iter().enumerate().map(move |(index, member)| (member, numbers(index)))
    }

    /// The endpoints of all of them.
    pub(super) fn carriers<'c>(
        &'c self,
        destinations: &'c [Surveyed<'m>],
    ) -> Option<&'c Carriers<'m>> {
        match &self.joined {
            Some(joined) => Some(&joined.carriers),
            None => destinations.get(self.range.start).map(|only| &only.carriers),
        }
    }
}

impl<'m> Joined<'m> {
    fn of(members: &[Surveyed<'m>]) -> Self {
        let members = members.iter().map(|member| &member.carriers);
        let carriers = Carriers::joined(members.clone());
        let numbers = members.map(|own| carriers.numbers_in(own)).collect();
        Self { carriers, numbers }
    }
}
