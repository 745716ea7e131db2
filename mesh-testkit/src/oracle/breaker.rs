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

/// What happened to connections.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "nothing else happens to a connection")]
pub enum Line {
    /// Somebody, on an important route or another one, asked for a connection to this host.
    Opened(bool, usize),
    /// What was opened at this place of the history, if anything was, is closed.
    Closed(usize),
}

/// Whether each line left somebody with a new connection, and how often a limit said no. `per_host`
/// says of important routes and others how many connections each host may have.
pub fn connected(
    entries: &[Entry],
    per_host: &[(bool, Option<u32>)],
    history: &[Line],
) -> (Vec<bool>, usize) {
    let mut had: Vec<bool> = Vec::new();
    let mut overflows = 0;
    for line in history {
        let Line::Opened(is_high, host) = *line else {
            had.push(false);
            continue;
        };
        let is_closed = |place: usize| {
            let mut after = history.iter().take(had.len()).skip(place + 1);
            after.any(|line| matches!(line, Line::Closed(closed) if *closed == place))
        };
        let lines = history.iter().zip(&had).enumerate();
        let open: Vec<(bool, usize)> = lines
            .filter(|(place, (_, had))| **had && !is_closed(*place))
            .filter_map(|(_, (line, _))| match line {
                Line::Opened(is_high, host) => Some((*is_high, *host)),
                Line::Closed(_) => None,
            })
            .collect();
        let of_host = open.iter().filter(|(_, at)| *at == host).count();
        let of_route = open.iter().filter(|(high, _)| *high == is_high).count();
        let entry = entries.iter().find(|entry| entry.is_high == is_high);
        let own = per_host.iter().find(|(high, _)| *high == is_high).and_then(|(_, most)| *most);
        let own = own.and_then(|most| usize::try_from(most).ok());
        let fits = limit(entry, 0, 0).is_none_or(|most| of_route < most)
            && own.is_none_or(|most| of_host < most);
        overflows += usize::from(!fits);
        had.push(fits || of_host == 0);
    }
    (had, overflows)
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
