//! Circuit breakers and retry budgets from a list of what happened: nothing is counted on the way,
//! everything is counted anew at each event.

/// One entry of the configuration. Resources are in this order: connections, requests that wait,
/// requests, retries, connection pools.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Whether it is that of important routes.
    pub is_high: bool,
    /// The limits that are stated.
    pub limits: [Option<u32>; 5],
    /// Percent of requests, and the least number of retries.
    pub budget: Option<(f64, u32)>,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "nothing else happens to a resource")]
pub enum Event {
    /// Somebody asked for one of a resource (by its place), of important routes or of others.
    Asked(bool, usize),
    /// Somebody took one without asking.
    Took(bool, usize),
    /// What was had at this place of the history, if anything was, is given back.
    GaveBack(usize),
}

const WAITING: usize = 1;
const REQUESTS: usize = 2;
const RETRIES: usize = 3;

/// Whether each event left somebody with a resource.
pub fn had(entries: &[Entry], history: &[Event]) -> Vec<bool> {
    let mut had: Vec<bool> = Vec::new();
    for event in history {
        had.push(match event {
            Event::Took(..) => true,
            Event::GaveBack(_) => false,
            Event::Asked(is_high, resource) => {
                let before = || history.iter().take(had.len());
                let in_use = |of: usize| {
                    let is_of = |event: &Event| match event {
                        Event::Asked(high, what) | Event::Took(high, what) => {
                            high == is_high && *what == of
                        }
                        Event::GaveBack(_) => false,
                    };
                    let is_back = |place: usize| {
                        before().skip(place + 1).any(|event| match event {
                            Event::GaveBack(back) => *back == place,
                            Event::Asked(..) | Event::Took(..) => false,
                        })
                    };
                    let events = before().zip(&had).enumerate();
                    events
                        .filter(|(place, (event, had))| **had && is_of(event) && !is_back(*place))
                        .count()
                };
                let entry = entries.iter().find(|entry| entry.is_high == *is_high);
                match limit(entry, *resource, in_use(REQUESTS) + in_use(WAITING)) {
                    None => true,
                    Some(limit) => in_use(*resource) < limit,
                }
            }
        });
    }
    had
}

/// How many there may be at once of a resource; none: as many as one likes.
fn limit(entry: Option<&Entry>, resource: usize, requests: usize) -> Option<usize> {
    let defaults = [Some(1024), Some(1024), Some(1024), Some(3), None];
    let stated = entry.and_then(|entry| entry.limits.get(resource).copied().flatten());
    let default = defaults.get(resource).copied().flatten();
    match entry.and_then(|entry| entry.budget).filter(|_| resource == RETRIES) {
        Some((percent, least)) => {
            let share = percent / 100.0 * f64::from(u32::try_from(requests).unwrap_or(u32::MAX));
            // The greatest whole number that is not above the share.
            let whole = (1..=requests * 10)
                .take_while(|n| u32::try_from(*n).is_ok_and(|n| f64::from(n) <= share));
            Some(whole.count().max(usize::try_from(least).unwrap_or(usize::MAX)))
        }
        None => stated.or(default).and_then(|limit| usize::try_from(limit).ok()),
    }
}
