//! What becomes of the requests of a client while gateways are ejected, from the
//! [diary](super::outlier::Diary) of its outlier detection.
use super::outlier::{Diary, Rules};

/// A client, the gateways that it sends to, other hosts behind them in turn, and the endpoints of the
/// gateways.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// Gateways.
    pub gateways: usize,
    /// Hosts that always answer.
    pub others: usize,
    /// Endpoints behind the gateways.
    pub backends: usize,
    /// How many of them, the first ones, always fail.
    pub bad: usize,
    /// Requests, one each millisecond from the first on.
    pub requests: u64,
    /// Whether each request finds an endpoint of its own.
    pub spreads: bool,
}

/// What became of one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "nothing else becomes of a request")]
pub enum Fate {
    /// A good endpoint behind a gateway answered.
    Good,
    /// A bad one answered.
    Bad,
    /// Another host answered.
    Elsewhere,
    /// Nobody was there.
    Refused,
}

/// The fate of each request, how often gateways were ejected, and the milliseconds that they were, summed.
/// Each ejection draws a number, which says nothing (`rules` know no chance and no jitter), and so does
/// each new connection of a gateway, which says its endpoint.
pub fn played(
    client: &Client,
    rules: Rules,
    mut random: impl FnMut() -> u64,
) -> (Vec<Fate>, usize, usize) {
    let hosts = client.gateways + client.others;
    let mut diary = Diary::new(rules, hosts);
    let mut connections: Vec<Option<bool>> = vec![None; hosts];
    let (mut fates, mut away, mut last) = (Vec::new(), 0, None);
    let all = |diary: &Diary| diary.ejections().iter().sum::<usize>();
    for now in 1..=client.requests {
        if now % rules.interval == 0 {
            let before = all(&diary);
            diary.sweep(now, 0);
            let _drawn: Vec<u64> = (before..all(&diary)).map(|_| random()).collect();
        }
        let ejected = diary.ejected();
        away += ejected.iter().take(client.gateways).filter(|is| **is).count();
        for (connection, is_ejected) in connections.iter_mut().zip(&ejected) {
            connection.take_if(|_| *is_ejected);
        }
        let after = |last: usize| (last + 1..hosts).chain(0..=last).collect::<Vec<_>>();
        let row = last.map_or((0..hosts).collect(), after);
        let Some(host) = row.into_iter().find(|host| ejected.get(*host) == Some(&false)) else {
            fates.push(Fate::Refused);
            continue;
        };
        last = Some(host);
        let fate = if host >= client.gateways {
            Fate::Elsewhere
        } else {
            let kept = connections.get(host).copied().flatten().filter(|_| !client.spreads);
            let is_good = kept.unwrap_or_else(|| {
                let number = random();
                let backends = u64::try_from(client.backends).unwrap_or(u64::MAX);
                let place = number.checked_rem(backends).and_then(|at| usize::try_from(at).ok());
                place.is_some_and(|place| place >= client.bad)
            });
            connections.iter_mut().skip(host).take(1).for_each(|one| *one = Some(is_good));
            if is_good { Fate::Good } else { Fate::Bad }
        };
        fates.push(fate);
        let before = all(&diary);
        diary.answer(host, if fate == Fate::Bad { 503 } else { 200 }, now, 0);
        let _drawn: Vec<u64> = (before..all(&diary)).map(|_| random()).collect();
    }
    let ejections = diary.ejections().iter().take(client.gateways).sum();
    (fates, ejections, away)
}
