//! From a descriptor set to the files of `mesh-envoy-proto/src/generated/`.
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};

use prost::Message;
use prost_types::FileDescriptorSet;

use super::{Task, compile};
use crate::Failure;

/// The modules, one inside the other; each leaf includes the file of its package.
const TREE: &str = "tree.rs";
/// What the feature `json` embeds.
const DESCRIPTORS: &str = "descriptors.bin";

/// Content by file name.
type Files = BTreeMap<String, Vec<u8>>;

pub(super) fn run(task: &Task) -> Result<(), Failure> {
    let package = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../mesh-envoy-proto"));
    let proto = package.join("proto");
    let generated = package.join("src/generated");
    let roots = roots(&proto.join("roots.txt"))?;
    if let Task::Import(source) = task {
        import(&roots, &proto, source)?;
    }
    let set = compile::compile(&roots, &[proto.join("own"), proto.join("upstream")])?;
    let files = generate(compile::without_annotations(set))?;
    match task {
        Task::Check => check(&files, &generated),
        Task::Write | Task::Import(_) => replace(&generated, &files),
    }
}

/// The file names in a list with `#` comments.
fn roots(list: &Path) -> Result<Vec<String>, Failure> {
    let text = fs::read_to_string(list).map_err(|error| unreadable(list, &error))?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

/// Replaces `proto/upstream` by exactly the texts of `source` that the roots need, byte by byte.
///
/// `source` holds one folder an upstream repository, and the texts of each under their import path.
fn import(roots: &[String], proto: &Path, source: &Path) -> Result<(), Failure> {
    let mut origins = Vec::new();
    for entry in fs::read_dir(source).map_err(|error| unreadable(source, &error))? {
        origins.push(entry.map_err(|error| unreadable(source, &error))?.path());
    }
    origins.sort();
    let folders: Vec<PathBuf> = iter::once(proto.join("own")).chain(origins).collect();
    let set = compile::compile(roots, &folders)?;
    let mut texts = Files::new();
    for file in &set.file {
        // Found in the first folder: ours. In none: the compiler brought it along.
        let found = folders.iter().position(|folder| folder.join(file.name()).is_file());
        if let Some(folder) = found.filter(|place| *place > 0).and_then(|place| folders.get(place))
        {
            let path = folder.join(file.name());
            let text = fs::read(&path).map_err(|error| unreadable(&path, &error))?;
            texts.insert(file.name().to_owned(), text);
        }
    }
    println!("imported {} files", texts.len());
    replace(&proto.join("upstream"), &texts)
}

fn generate(set: FileDescriptorSet) -> Result<Files, Failure> {
    let descriptors = set.encode_to_vec();
    let out = std::env::temp_dir().join(format!("mesh-codegen-{}", std::process::id()));
    fs::create_dir_all(&out).map_err(|error| unreadable(&out, &error))?;
    let compiled = prost_build::Config::new()
        .out_dir(&out)
        .include_file(TREE)
        .btree_map(["."])
        .disable_comments(["."])
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com")
        .compile_fds(set)
        .and_then(|()| read(&out));
    // A folder left behind in the system's temporary one harms nobody.
    let _ = fs::remove_dir_all(&out);
    let mut files = plainly_named(compiled.map_err(|error| unreadable(&out, &error))?);
    files.insert(DESCRIPTORS.to_owned(), descriptors);
    Ok(files)
}

/// Takes the `r#` of keywords (`envoy.r#type.v3.rs`) out of the file names, and of the lines naming them.
fn plainly_named(files: Files) -> Files {
    let plain = |(name, content): (String, Vec<u8>)| {
        let content = if name == TREE { with_plain_includes(&content) } else { content };
        (name.replace("r#", ""), content)
    };
    files.into_iter().map(plain).collect()
}

fn with_plain_includes(tree: &[u8]) -> Vec<u8> {
    let mut plain = String::new();
    for line in String::from_utf8_lossy(tree).lines() {
        let include = line.trim_start().starts_with("include!");
        plain.push_str(&if include { line.replace("r#", "") } else { line.to_owned() });
        plain.push('\n');
    }
    plain.into_bytes()
}

fn check(files: &Files, generated: &Path) -> Result<(), Failure> {
    let present = read(generated).map_err(|error| unreadable(generated, &error))?;
    if present == *files {
        return Ok(());
    }
    for (name, content) in files {
        match present.get(name) {
            None => println!("{name} is missing"),
            Some(other) if other != content => println!("{name} is out of date"),
            Some(_) => {}
        }
    }
    for name in present.keys().filter(|name| !files.contains_key(*name)) {
        println!("{name} is left over");
    }
    println!(
        "mesh-envoy-proto/src/generated/ is not what its proto/ gives: run `cargo xtask codegen`"
    );
    Err(Failure::Answered)
}

/// The files of a folder without subfolders.
fn read(folder: &Path) -> io::Result<Files> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(files)
}

/// Makes a folder hold these files and no other.
fn replace(folder: &Path, files: &Files) -> Result<(), Failure> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| unreadable(folder, &error))?;
    }
    for (name, content) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, content))
            .map_err(|error| unreadable(&path, &error))?;
    }
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("`{}`: {error}", path.display()))
}
