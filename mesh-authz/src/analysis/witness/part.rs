//! The parts of a request, put into it one by one.
use std::collections::BTreeMap;

use super::super::literal::Subject;
use super::super::sample::Sample;
use super::value::Candidate;
use crate::identity::Value;
use crate::request::{JWT_FILTER, JWT_PAYLOAD};

/// Puts a value into a part of a request; `None` if it does not belong there.
pub(super) fn set(mut sample: Sample, subject: Subject<'_>, value: Candidate) -> Option<Sample> {
    match (subject, value) {
        (Subject::SourceIp, Candidate::Ip(address)) => {
            // The original client is the direct peer unless something says otherwise.
            if sample.remote_ip == sample.source_ip {
                sample.remote_ip = address;
            }
            sample.source_ip = address;
        }
        (Subject::SourceIp, Candidate::Proxy(address)) => sample.source_ip = address,
        (Subject::RemoteIp, Candidate::Ip(address)) => sample.remote_ip = address,
        (Subject::DestinationIp, Candidate::Ip(address)) => sample.destination_ip = address,
        (Subject::Port, Candidate::Port(port)) => sample.destination_port = port,
        (Subject::Identity | Subject::Tunnel, Candidate::Text(text)) => {
            sample.identity = Some(text.into());
            sample.other_names.clear();
        }
        (Subject::Identity, Candidate::Texts(names)) => {
            let mut names = names.into_iter().map(String::into_boxed_str);
            sample.identity = names.next();
            sample.other_names = names.collect();
        }
        (Subject::Identity | Subject::Tunnel, Candidate::Absent) => {
            sample.identity = None;
            sample.other_names.clear();
        }
        (Subject::Identity, Candidate::Alias(name)) => {
            sample.identity.as_ref()?;
            sample.other_names = vec![name.into()];
        }
        (Subject::ServerName, Candidate::Text(text)) => sample.server_name = Some(text.into()),
        (Subject::ServerName, Candidate::Absent) => sample.server_name = None,
        (Subject::Path | Subject::Header(":path"), Candidate::Text(text)) => {
            sample.http.as_mut()?.path = text.into();
        }
        (Subject::Header(":method"), Candidate::Text(text)) => {
            sample.http.as_mut()?.method = text.into();
        }
        // Envoy keeps `host` and `:authority` in one place.
        (Subject::Header(name), value) if is_authority(name) => {
            sample.http.as_mut()?.authority = match value {
                Candidate::Text(text) => Some(text.into()),
                Candidate::Absent => None,
                Candidate::Ip(_)
                | Candidate::Proxy(_)
                | Candidate::Alias(_)
                | Candidate::Texts(_)
                | Candidate::Port(_)
                | Candidate::Json(_) => return None,
            };
        }
        (Subject::Header(name), value) if !name.starts_with(':') => {
            let headers = &mut sample.http.as_mut()?.headers;
            headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            let lines = match value {
                Candidate::Text(line) => vec![line],
                Candidate::Texts(lines) => lines,
                Candidate::Absent
                | Candidate::Ip(_)
                | Candidate::Proxy(_)
                | Candidate::Port(_)
                | Candidate::Json(_)
                | Candidate::Alias(_) => Vec::new(),
            };
            headers.extend(lines.into_iter().map(|line| (name.into(), line.into())));
        }
        (Subject::Metadata(filter, path), value) => {
            let value = match value {
                Candidate::Json(value) => Some(value),
                Candidate::Absent => None,
                Candidate::Text(_)
                | Candidate::Ip(_)
                | Candidate::Proxy(_)
                | Candidate::Alias(_)
                | Candidate::Texts(_)
                | Candidate::Port(_) => return None,
            };
            set_metadata(&mut sample, filter, path, value)?;
        }
        _ => return None,
    }
    Some(sample)
}

pub(super) fn is_authority(name: &str) -> bool {
    name == ":authority" || name.eq_ignore_ascii_case("host")
}

fn set_metadata(
    sample: &mut Sample,
    filter: &str,
    path: &[Box<str>],
    value: Option<Value>,
) -> Option<()> {
    let (first, rest) = path.split_first()?;
    if filter == JWT_FILTER && **first == *JWT_PAYLOAD {
        let claims = sample.http.as_mut()?.claims.get_or_insert_default();
        put(claims, rest, value);
        if claims.is_empty() {
            sample.http.as_mut()?.claims = None;
        }
        return Some(());
    }
    let of = sample.metadata.namespaces.entry(filter.into());
    let Value::Map(map) = of.or_insert_with(|| Value::Map(BTreeMap::new())) else { return None };
    put(map, path, value);
    Some(())
}

/// Puts a value under keys, maps being made on the way; `None` takes it away.
fn put(map: &mut BTreeMap<Box<str>, Value>, path: &[Box<str>], value: Option<Value>) {
    let Some((last, way)) = path.split_last() else { return };
    let mut map = map;
    for key in way {
        let next = map.entry(key.clone()).or_insert_with(|| Value::Map(BTreeMap::new()));
        if !matches!(next, Value::Map(_)) {
            *next = Value::Map(BTreeMap::new());
        }
        let Value::Map(inner) = next else { return };
        map = inner;
    }
    match value {
        Some(value) => drop(map.insert(last.clone(), value)),
        None => drop(map.remove(last)),
    }
}
