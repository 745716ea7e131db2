//! A difference for people.
use super::Difference;
use super::arrivals::Otherwise;
use super::decisions::Incomplete;
use crate::commands::whatif::movement;
use crate::say::say;

pub(super) fn print(difference: &Difference) {
    traffic(difference);
    arrivals(difference);
    decisions(difference);
    resources(difference);
    say!("\nFINDINGS");
    for found in &difference.added {
        say!("  new   {found}");
    }
    for found in &difference.removed {
        say!("  gone  {found}");
    }
    if difference.added.is_empty() && difference.removed.is_empty() {
        say!("  the same");
    }
}

fn traffic(difference: &Difference) {
    say!("TRAFFIC");
    for change in &difference.traffic {
        let subset = if change.subset.is_empty() {
            String::new()
        } else {
            format!(" subset {}", change.subset)
        };
        say!(
            "  {}:{}{subset}  for {} ({} proxies): {:.2}% moves",
            change.host,
            change.port,
            change.class,
            change.proxies.len(),
            change.shift.total()
        );
        for moved in change.shift.moved.iter() {
            say!("    {:>6.2}%  {}", moved.share, movement(moved));
        }
    }
    for change in &difference.routes {
        let request = &change.request;
        let headers: Vec<String> =
            request.headers.iter().map(|(name, value)| format!(" {name}: {value}")).collect();
        say!(
            "  {}:{} {} {}{}  for {} ({} proxies): {:.2}% is sent elsewhere",
            request.host,
            request.port,
            request.method,
            request.path,
            headers.concat(),
            change.class,
            change.proxies.len(),
            change.total()
        );
        for moved in &change.moved {
            say!("    {:>6.2}%  {} -> {}", moved.share, moved.from, moved.to);
        }
    }
    if difference.traffic.is_empty() && difference.routes.is_empty() {
        say!("  none moves");
    }
}

fn arrivals(difference: &Difference) {
    say!("\nARRIVING");
    for change in &difference.arrivals {
        for arriving in &change.arrivals {
            say!("  {arriving}  for {} ({} proxies)", change.class, change.proxies.len());
        }
        for moved in &change.difference.moved {
            say!("    {:>6.2}%  {} -> {}", moved.share, moved.from, moved.to);
        }
        for Otherwise { what, before, after } in &change.difference.otherwise {
            match (before, after) {
                (None, None) => say!("    {what}: otherwise"),
                (Some(before), None) => say!("    {what}: no more ({before})"),
                (None, Some(after)) => say!("    {what}: now {after}"),
                (Some(before), Some(after)) => say!("    {what}: {before} -> {after}"),
            }
        }
    }
    if difference.arrivals.is_empty() {
        say!("  nothing is treated otherwise, but for who may call");
    }
}

fn decisions(difference: &Difference) {
    say!("\nREQUESTS");
    for change in &difference.decisions.changes {
        let word = if change.allowed { "allowed now" } else { "denied now" };
        say!("  {word}: {} {}", change.workload, change.request);
        if let Some(denier) = &change.if_denied_by {
            say!("    if `{denier}` denies it");
        }
        if change.count > 1 {
            say!("    and {} other requests like it", change.count - 1);
        }
        say!("    before: {}", change.by_old);
        say!("    after:  {}", change.by_new);
    }
    if difference.decisions.changes.is_empty() {
        say!("  none of those tried is answered differently");
    }
    let incomplete = &difference.decisions.incomplete;
    if !incomplete.is_empty() {
        say!("  incomplete: not all that these may change could be tried");
    }
    for Incomplete { workload, rule } in incomplete.iter().take(SHOWN) {
        match rule {
            Some(rule) => say!("    {workload}: {rule}"),
            None => say!("    {workload}: that ALLOW policies are in force on one side only"),
        }
    }
    if let Some(more) = incomplete.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        say!("    and {more} more");
    }
}

/// Rules that are shown of which not all was tried.
const SHOWN: usize = 20;

fn resources(difference: &Difference) {
    say!("\nRESOURCES");
    for change in &difference.resources {
        let short = change.type_url.rsplit('.').next().unwrap_or_default();
        say!(
            "  {short} for {} ({} proxies): {} changed, {} added, {} removed",
            change.class,
            change.proxies.len(),
            change.changed.len(),
            change.added.len(),
            change.removed.len()
        );
        let lists = [("~", &change.changed), ("+", &change.added), ("-", &change.removed)];
        for (sign, names) in lists {
            for name in names {
                say!("    {sign} {name}");
            }
        }
    }
    if difference.resources.is_empty() {
        say!("  none is sent");
    }
}
