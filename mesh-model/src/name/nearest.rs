//! Which known name was meant.

/// Names that are longer are not compared.
const LONGEST: usize = 64;

/// Returns the name nearest to what was written, if it is near enough to be meant.
pub fn nearest_name<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (written.chars().count() * 2 / 5).clamp(1, 3);
    closest(written, names).filter(|(distance, _)| *distance <= limit).map(|(_, name)| name)
}

/// Returns the name nearest to what was written, near or not; of several the first by alphabet.
pub fn closest_name<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    closest(written, names).map(|(_, name)| name)
}

fn closest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Option<(usize, &'a str)> {
    if written.len() > LONGEST {
        return None;
    }
    let written = written.to_lowercase();
    let names = names.filter(|name| name.len() <= LONGEST);
    names.map(|name| (distance(&written, &name.to_lowercase()), name)).min()
}

/// The end of a sentence about a name that does not exist: the nearest one, or else what to do.
pub(crate) fn hint(nearest: Option<&str>, otherwise: &str) -> String {
    match nearest {
        Some(name) => format!("; did you mean `{name}`?"),
        None => format!("; {otherwise}"),
    }
}

/// The number of single-character edits between two texts (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            // `cell` still holds the value above.
            let cost = (diagonal + usize::from(from != *to)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
