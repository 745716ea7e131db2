//! Weights from reports of load, looked up in all reports ever made; and turns by weight, each counter
//! tried in turn.

/// What an endpoint's diary has.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a test maps each one to the engine's")]
pub enum Line {
    /// A report: queries and errors a second, how busy the application is and how busy the CPU.
    Report(f64, f64, f64, f64),
    /// The client asks for the weight.
    Asked,
}

/// How reports count: after how long, for how long, and what errors add.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The time of silence at first; 0 for none.
    pub blackout: u64,
    /// How long a report counts.
    pub expiration: u64,
    /// What a rate of errors of 1 adds to the utilization.
    pub penalty: f64,
}

/// Returns each weight that is asked for; 0 if it is not known.
pub fn weights(rules: Rules, diary: &[(u64, Line)]) -> Vec<f64> {
    let asked = diary.iter().enumerate().filter(|(_, line)| matches!(line.1, Line::Asked));
    asked.map(|(at, (now, _))| weight(rules, diary.get(..at).unwrap_or_default(), *now)).collect()
}

fn weight(rules: Rules, before: &[(u64, Line)], now: u64) -> f64 {
    let Some((last, weight)) = last_report(rules, before) else { return 0.0 };
    if now - last >= rules.expiration {
        return 0.0;
    }
    // The blackout begins with the first report after the last time that none counted.
    let was_silent = |(at, line): &(usize, &(u64, Line))| {
        let earlier = before.get(..*at).unwrap_or_default();
        let report = last_report(rules, earlier);
        let is_old = report.is_none_or(|(then, _)| line.0 - then >= rules.expiration);
        matches!(line.1, Line::Asked) && is_old
    };
    let begin = before.iter().enumerate().rfind(was_silent).map_or(0, |(at, _)| at);
    let first = before.iter().skip(begin).find(|line| value(rules, line.1).is_some());
    let since = first.map_or(now, |line| line.0);
    if rules.blackout > 0 && now - since < rules.blackout { 0.0 } else { weight }
}

fn last_report(rules: Rules, lines: &[(u64, Line)]) -> Option<(u64, f64)> {
    lines.iter().rev().find_map(|(then, line)| Some((*then, value(rules, *line)?)))
}

/// The weight by a report that says something.
fn value(rules: Rules, line: Line) -> Option<f64> {
    let Line::Report(queries, errors, application, cpu) = line else { return None };
    let busy = if application == 0.0 { cpu } else { application };
    let says_something = busy != 0.0 && queries != 0.0;
    says_something.then(|| queries / (busy + errors / queries * rules.penalty))
}

/// Scales weights to 65,535, unknown ones (0) to the mean of the others; none if endpoints just take
/// turns.
pub fn scaled(weights: &[f64]) -> Option<Vec<u16>> {
    let known: Vec<f64> = weights.iter().copied().filter(|weight| *weight > 0.0).collect();
    if known.len() < 2 {
        return None;
    }
    let greatest = known.iter().copied().fold(0.0, f64::max);
    let number: f64 = known.iter().map(|_| 1.0).sum();
    let mean = known.iter().sum::<f64>() / number;
    let scale = |weight: f64| {
        let wanted = (65_535.0 / greatest * weight).round();
        (0..=u16::MAX).find(|number| f64::from(*number) >= wanted).unwrap_or(u16::MAX)
    };
    let all: Vec<u16> =
        weights.iter().map(|weight| scale(if *weight > 0.0 { *weight } else { mean })).collect();
    if all.iter().all(|weight| *weight == scale(mean)) { None } else { Some(all) }
}

/// The endpoints whose turns come after a counter, out of so many. By the weights an endpoint takes part
/// in those rounds in which its sum of weights passes a multiple of 65,535; it begins with half of that
/// for each endpoint before it.
pub fn turns(endpoints: u32, weights: Option<&[u16]>, counter: u32, picks: usize) -> Vec<u32> {
    let mut found = Vec::new();
    let mut counter = counter;
    while found.len() < picks && endpoints > 0 {
        counter = counter.wrapping_add(1);
        let (endpoint, round) = (counter % endpoints, counter / endpoints);
        let weight = usize::try_from(endpoint).ok().and_then(|at| weights?.get(at));
        let takes_part = weight.is_none_or(|weight| {
            let before = u64::from(*weight) * u64::from(round) + u64::from(endpoint) * 32_767;
            (before + u64::from(*weight)) / 65_535 > before / 65_535
        });
        if takes_part {
            found.push(endpoint);
        }
    }
    found
}
