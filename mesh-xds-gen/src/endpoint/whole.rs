//! The endpoints of a whole service as bytes, of which its subsets have some.
use std::ops::Range;

use bytes::Bytes;
use mesh_lb::assign::{AssignedPart, Assignment, PartPlace};

use super::encode::Again;
use crate::encode::Backwards;

/// The bytes of the parts of a service's assignment.
#[derive(Clone, Debug, Default)]
pub(super) struct Whole {
    assignment: Assignment,
    bytes: Bytes,
    /// In the order in which they were written: each with where it begins and ends, from the end, and which of
    /// the ports are its.
    parts: Vec<(PartPlace, Range<usize>, Range<usize>)>,
    /// As of [`Again`], and whether ports stand elsewhere too.
    ports: Vec<usize>,
    is_other: bool,
    state: State,
}

/// What is done with it while an assignment is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Idle,
    Written,
    /// So many of the parts were used or passed by.
    Used(usize),
}

impl Whole {
    /// Begins to note what is written of a whole service.
    pub(super) fn begin(&mut self) {
        self.parts.clear();
        self.state = State::Written;
    }

    /// Ends it: what is noted is of this assignment.
    pub(super) fn end(&mut self, assignment: &Assignment, bytes: &Bytes, again: &Again) {
        self.assignment = assignment.clone();
        self.bytes = bytes.clone();
        self.ports.clone_from(&again.ports);
        self.is_other = again.is_other;
    }

    /// Begins to be used for an assignment, if that is of the same endpoints.
    pub(super) fn begin_subset(&mut self, assignment: &Assignment) {
        let is_subset = !self.parts.is_empty() && self.assignment.is_of_same_endpoints(assignment);
        self.state = if is_subset { State::Used(0) } else { State::Idle };
    }

    /// Notes where a part was written.
    pub(super) fn note(
        &mut self,
        part: AssignedPart<'_>,
        range: Range<usize>,
        ports: Range<usize>,
    ) {
        if self.state == State::Written
            && let Some(place) = part.place()
        {
            self.parts.push((place, range, ports));
        }
    }

    /// Writes a part as the whole service has it, from the last one on; `None` if that has none.
    pub(super) fn put(
        &mut self,
        part: AssignedPart<'_>,
        to: &mut Backwards,
        again: &mut Again,
    ) -> Option<()> {
        let State::Used(from) = self.state else { return None };
        let place = part.place()?;
        let Self { bytes, parts, ports, .. } = &*self;
        let rest = parts.get(from..)?;
        let passed = rest.iter().position(|(of, ..)| *of == place)?;
        let (_, range, its_ports) = rest.get(passed)?;
        let at = |mark: usize| bytes.len().checked_sub(mark);
        let mark = to.len();
        to.push(bytes.get(at(range.end)?..at(range.start)?)?);
        let ports = ports.get(its_ports.clone())?.iter();
        let moved = ports.map(|port| mark.wrapping_add(port.wrapping_sub(range.start)));
        again.ports.extend(moved);
        again.is_other |= self.is_other;
        self.state = State::Used(from.saturating_add(passed).saturating_add(1));
        Some(())
    }
}
