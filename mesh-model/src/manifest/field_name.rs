//! Keys of maps: mostly words that every manifest says, which are kept once.
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// A key of a map: a text. The words that nearly all manifests consist of take no allocation.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FieldName(Cow<'static, str>);

/// Frequent words, by their lengths.
const WORDS: [&[&str]; 27] = [
    &[],
    &[],
    &["ip", "to"],
    &["app", "env", "uid"],
    &[
        "args", "from", "host", "http", "kind", "mode", "name", "path", "port", "spec", "type",
        "when",
    ],
    &[
        "group", "hosts", "image", "items", "match", "names", "phase", "podIP", "ports", "ready",
        "route", "rules", "value",
    ],
    &[
        "action", "labels", "number", "podIPs", "prefix", "region", "source", "status", "subset",
        "weight",
    ],
    &["ingress", "network", "servers", "serving", "subsets", "timeout", "version"],
    &["exportTo", "interval", "metadata", "nodeName", "protocol", "selector"],
    &["addresses", "clusterIP", "endpoints", "namespace", "operation", "targetRef"],
    &[
        "apiVersion",
        "clusterIPs",
        "conditions",
        "containers",
        "principals",
        "resolution",
        "targetPort",
    ],
    &[
        "addressType",
        "annotations",
        "appProtocol",
        "destination",
        "hostNetwork",
        "matchLabels",
        "terminating",
    ],
    &["generateName", "loadBalancer"],
    &["containerPort", "trafficPolicy"],
    &["initContainers"],
    &["ownerReferences"],
    &["baseEjectionTime", "outlierDetection"],
    &["creationTimestamp"],
    &["maxEjectionPercent", "serviceAccountName"],
    &[],
    &["consecutive5xxErrors"],
    &[],
    &[],
    &[],
    &[],
    &["security.istio.io/tlsMode"],
    &["kubernetes.io/service-name"],
];

impl FieldName {
    /// Returns the name if it is one of the frequent words.
    pub(crate) fn known(text: &str) -> Option<Self> {
        let mut words = WORDS.get(text.len())?.iter();
        words.find(|word| **word == text).map(|word| Self(Cow::Borrowed(word)))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for FieldName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for FieldName {
    fn from(text: &str) -> Self {
        Self::known(text).unwrap_or_else(|| Self(Cow::Owned(text.to_owned())))
    }
}

impl From<Cow<'_, str>> for FieldName {
    fn from(text: Cow<'_, str>) -> Self {
        Self::known(&text).unwrap_or_else(|| Self(Cow::Owned(text.into_owned())))
    }
}

impl From<String> for FieldName {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl From<Box<str>> for FieldName {
    fn from(text: Box<str>) -> Self {
        Self(Cow::Owned(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::{FieldName, WORDS};

    #[test]
    fn every_frequent_word_is_found() {
        for word in WORDS.iter().copied().flatten() {
            assert_eq!(FieldName::known(word).as_deref(), Some(*word), "{word}");
        }
        assert_eq!(FieldName::known("apiversion"), None);
        assert_eq!(FieldName::from("apiversion").as_str(), "apiversion");
    }
}
