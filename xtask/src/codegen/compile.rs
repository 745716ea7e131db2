//! From `.proto` texts to a descriptor set.
//!
//! ```text
//! roots ─▶ protox, reading own/ then the upstream folders ─▶ all files ─▶ without those that only annotate
//! ```
use std::fs;
use std::path::{Path, PathBuf};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use crate::Failure;

/// Everything that `roots` import, in an order in which each file comes after its imports.
pub(super) fn compile(roots: &[String], folders: &[PathBuf]) -> Result<FileDescriptorSet, Failure> {
    let mut resolver = ChainFileResolver::new();
    for folder in folders {
        resolver.add(Folder(folder.clone()));
    }
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(false);
    for root in roots {
        compiler.open_file(root).map_err(|error| Failure::Usage(format!("{error:?}")))?;
    }
    Ok(compiler.file_descriptor_set())
}

/// Takes away what exists only to annotate: rules of validation, status, version, deprecation.
///
/// Nothing here reads an annotation, and their types would only be compiled. The options that use
/// them are already gone: they are extensions, and prost keeps none. Deprecation goes because istiod
/// still writes deprecated fields, and so must who wants the same bytes.
pub(super) fn without_annotations(set: FileDescriptorSet) -> FileDescriptorSet {
    let annotates = |file: &FileDescriptorProto| {
        !file.extension.is_empty() || file.name() == "google/protobuf/descriptor.proto"
    };
    let gone: Vec<String> =
        set.file.iter().filter(|file| annotates(file)).map(|file| file.name().to_owned()).collect();
    let mut kept = FileDescriptorSet::default();
    for mut file in set.file {
        if !annotates(&file) {
            forget_imports(&mut file, &gone);
            file.enum_type.iter_mut().for_each(undeprecate_enum);
            file.message_type.iter_mut().for_each(undeprecate_message);
            kept.file.push(file);
        }
    }
    kept
}

/// Drops imports, and renumbers the lists that point into them.
fn forget_imports(file: &mut FileDescriptorProto, gone: &[String]) {
    let before = std::mem::take(&mut file.dependency);
    file.dependency = before.iter().filter(|name| !gone.contains(name)).cloned().collect();
    let renumbered = |old: &i32| {
        let name = before.get(usize::try_from(*old).ok()?)?;
        let new = file.dependency.iter().position(|kept| kept == name)?;
        i32::try_from(new).ok()
    };
    file.public_dependency = file.public_dependency.iter().filter_map(renumbered).collect();
    file.weak_dependency = file.weak_dependency.iter().filter_map(renumbered).collect();
}

fn undeprecate_message(message: &mut DescriptorProto) {
    let options = message.field.iter_mut().filter_map(|field| field.options.as_mut());
    options.for_each(|options| options.deprecated = None);
    if let Some(options) = &mut message.options {
        options.deprecated = None;
    }
    message.enum_type.iter_mut().for_each(undeprecate_enum);
    message.nested_type.iter_mut().for_each(undeprecate_message);
}

fn undeprecate_enum(definition: &mut EnumDescriptorProto) {
    let options = definition.value.iter_mut().filter_map(|value| value.options.as_mut());
    options.for_each(|options| options.deprecated = None);
    if let Some(options) = &mut definition.options {
        options.deprecated = None;
    }
}

/// One folder of `.proto` texts.
struct Folder(PathBuf);

impl FileResolver for Folder {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        Some(path.to_str()?.to_owned())
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match fs::read_to_string(self.0.join(name)) {
            Ok(text) => File::from_source(name, &spelled_out(&text)),
            Err(_) => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Spells out the relative type names that protox resolves to the nearest `common` and no further.
///
/// protoc looks outwards from `envoy.extensions.filters.…` until the whole name is found; protox stops
/// at `envoy.extensions.filters.common`, which exists but holds neither.
fn spelled_out(text: &str) -> String {
    ["aws", "dynamic_forward_proxy"].into_iter().fold(text.to_owned(), |text, package| {
        let spelled = format!(" .envoy.extensions.common.{package}.");
        text.replace(&format!(" common.{package}."), &spelled)
    })
}
