//! A difference for people.
use super::Difference;
use crate::commands::whatif::movement;

pub(super) fn print(difference: &Difference) {
    traffic(difference);
    decisions(difference);
    resources(difference);
    println!("\nFINDINGS");
    for found in &difference.added {
        println!("  new   {found}");
    }
    for found in &difference.removed {
        println!("  gone  {found}");
    }
    if difference.added.is_empty() && difference.removed.is_empty() {
        println!("  the same");
    }
}

fn traffic(difference: &Difference) {
    println!("TRAFFIC");
    for change in &difference.traffic {
        let subset = if change.subset.is_empty() {
            String::new()
        } else {
            format!(" subset {}", change.subset)
        };
        println!(
            "  {}:{}{subset}  for {} ({} proxies): {:.2}% moves",
            change.host,
            change.port,
            change.class,
            change.proxies.len(),
            change.shift.total()
        );
        for moved in &change.shift.moved {
            println!("    {:>6.2}%  {}", moved.share, movement(moved));
        }
    }
    if difference.traffic.is_empty() {
        println!("  none moves");
    }
}

fn decisions(difference: &Difference) {
    println!("\nREQUESTS");
    for change in &difference.decisions {
        let word = if change.allowed { "allowed now" } else { "denied now" };
        println!("  {word}: {} {}", change.workload, change.request);
        if change.count > 1 {
            println!("    and {} other requests like it", change.count - 1);
        }
        println!("    before: {}", change.by_old);
        println!("    after:  {}", change.by_new);
    }
    if difference.decisions.is_empty() {
        println!("  none of those tried is answered differently");
    }
}

fn resources(difference: &Difference) {
    println!("\nRESOURCES");
    for change in &difference.resources {
        let short = change.type_url.rsplit('.').next().unwrap_or_default();
        println!(
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
                println!("    {sign} {name}");
            }
        }
    }
    if difference.resources.is_empty() {
        println!("  none is sent");
    }
}
