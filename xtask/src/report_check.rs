//! `cargo xtask report-check`: the page of `mesh report`, looked at by a real browser.
//!
//! ```text
//! MESH ──`mesh report`──▶ page.html + check.js ──Chromium, each width──▶ what a reader would see as broken
//! ```
//!
//! Every folder's page is opened at several widths, with everything on it unfolded; text over text, a
//! page wider than its window and empty parts are told. Screenshots of the light and the dark page lie
//! beside it afterwards. It is no part of the gate: where no Chromium is installed it says so.
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::problem::{Attempt, Problem};
use crate::{process, workspace};

/// What looks at the page.
const CHECK: &str = include_str!("report_check/check.js");

/// A telephone, a tablet, a laptop, a desk.
const WIDTHS: [u32; 4] = [390, 820, 1280, 1920];

/// The names that the browser has on different systems.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

struct Options {
    meshes: PathBuf,
    binary: Option<PathBuf>,
}

pub(crate) fn command(arguments: &[String]) -> Result<(), Failure> {
    let options = parse(arguments)?;
    let Some(browser) = BROWSERS.iter().find(|name| exists(name)) else {
        println!(
            "report-check: skipped, none of {} is installed (Debian: apt-get install chromium)",
            BROWSERS.join(", ")
        );
        return Ok(());
    };
    let binary = match options.binary {
        Some(binary) => binary,
        None => workspace::mesh_binary()?,
    };
    let out = workspace::target_directory()?.join("report");
    std::fs::create_dir_all(&out).attempt(format!("create `{}`", out.display()))?;
    let mut is_good = true;
    for mesh in folders(&options.meshes)? {
        is_good &= check(browser, &binary, &mesh, &out)?;
    }
    println!("screenshots are in {}", out.display());
    if is_good { Ok(()) } else { Err(Failure::Answered) }
}

fn parse(arguments: &[String]) -> Result<Options, Failure> {
    let mut options =
        Options { meshes: workspace::repository().join("examples/meshes"), binary: None };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next();
        match (argument.as_str(), value) {
            ("--meshes", Some(value)) => options.meshes = value.into(),
            ("--binary", Some(value)) => options.binary = Some(value.into()),
            _ => {
                let text = format!("`{argument}`: write [--meshes DIR] [--binary MESH]");
                return Err(Failure::Usage(text));
            }
        }
    }
    Ok(options)
}

fn exists(browser: &str) -> bool {
    process::output(Command::new(browser).arg("--version")).is_ok_and(|done| done.status.success())
}

/// The mesh folders of a directory, by name.
fn folders(meshes: &Path) -> Result<Vec<PathBuf>, Problem> {
    let entries = std::fs::read_dir(meshes).attempt(format!("read `{}`", meshes.display()))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = paths.filter(|path| path.join("clusters").is_dir()).collect();
    folders.sort();
    Ok(folders)
}

/// Looks at one mesh's page; true if nothing is wrong with it.
fn check(browser: &str, binary: &Path, mesh: &Path, out: &Path) -> Result<bool, Problem> {
    let name = mesh.file_name().map_or_else(String::new, |name| name.to_string_lossy().into());
    let page = out.join(format!("{name}.html"));
    let mut report = Command::new(binary);
    report.arg("-f").arg(mesh).arg("report").arg("--out").arg(&page);
    let made = process::output(&mut report)?;
    if !made.status.success() {
        println!("{name}: no page: {}", String::from_utf8_lossy(&made.stderr).trim());
        return Ok(false);
    }
    let text = std::fs::read_to_string(&page).attempt(format!("read `{}`", page.display()))?;
    let checked = out.join(format!("{name}.check.html"));
    let with_check = text.replace("</body>", &format!("<script>{CHECK}</script></body>"));
    std::fs::write(&checked, with_check).attempt(format!("write `{}`", checked.display()))?;
    let mut is_good = true;
    for width in WIDTHS {
        let mut look = chromium(browser, out, width);
        look.args(["--dump-dom", "--virtual-time-budget=20000"]).arg(url(&checked));
        let seen = process::output(&mut look)?;
        let verdict = verdict(&String::from_utf8_lossy(&seen.stdout));
        match verdict {
            Some(found) if found.is_empty() => println!("{name} at {width}: good"),
            Some(found) => {
                is_good = false;
                println!("{name} at {width}: {} faults", found.len());
                found.iter().for_each(|fault| println!("  {fault}"));
            }
            None => {
                is_good = false;
                println!("{name} at {width}: the browser gave no verdict");
            }
        }
    }
    for (scheme, value) in [("dark", 0), ("light", 1)] {
        let mut shoot = chromium(browser, out, 1280);
        let image = out.join(format!("{name}.{scheme}.png"));
        shoot.arg(format!("--screenshot={}", image.display()));
        shoot.arg(format!("--blink-settings=preferredColorScheme={value}")).arg(url(&page));
        process::output(&mut shoot)?;
    }
    Ok(is_good)
}

fn chromium(browser: &str, out: &Path, width: u32) -> Command {
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    command.arg(format!("--user-data-dir={}", out.join("profile").display()));
    command.arg(format!("--window-size={width},1600"));
    command
}

fn url(page: &Path) -> String {
    format!("file://{}", page.display())
}

/// What the check found; `None` if it did not run to its end.
fn verdict(dom: &str) -> Option<Vec<String>> {
    let (_, rest) = dom.rsplit_once("VERDICT")?;
    let (encoded, _) = rest.split_once("END")?;
    let text = percent_decoded(&base64_decoded(encoded)?);
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    // A page of a mesh has texts; none means that nothing was looked at.
    value.get("texts")?.as_u64().filter(|count| *count > 20)?;
    let found = value.get("found")?.as_array()?;
    Some(found.iter().map(|fault| fault.as_str().unwrap_or_default().to_owned()).collect())
}

fn base64_decoded(text: &str) -> Option<String> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.bytes().filter(|byte| *byte != b'=') {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        bits = (bits << 6) | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xFF).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                bytes.extend(part.bytes().skip(2));
            }
            None => bytes.extend([b"%", part.as_bytes()].concat()),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_read_out_of_the_page() {
        // {"found":["a b"],"texts":21}, percent-encoded, then in base64.
        let encoded =
            "JTdCJTIyZm91bmQlMjIlM0ElNUIlMjJhJTIwYiUyMiU1RCUyQyUyMnRleHRzJTIyJTNBMjElN0Q=";
        let dom = format!("<html><body><pre>VERDICT{encoded}END</pre></body></html>");
        assert_eq!(verdict(&dom), Some(vec!["a b".to_owned()]));
        assert_eq!(verdict("<html></html>"), None);
    }
}
