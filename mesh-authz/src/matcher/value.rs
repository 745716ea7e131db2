//! Tests of metadata: claims of a token and what earlier filters found.
use super::StringTest;
use crate::identity::Value;

/// A test of one value of the request's metadata.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a test has these three parts")]
pub struct MetadataTest {
    /// The metadata's namespace: the name of the filter that wrote it.
    pub filter: Box<str>,
    /// The keys that lead to the value.
    pub path: Box<[Box<str>]>,
    /// What the value must be.
    pub value: ValueTest,
}

/// A test of a structured value. Only texts ever pass: numbers, booleans and maps match nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "generators write every test")]
pub enum ValueTest {
    /// The value is a text that passes.
    Text(StringTest),
    /// The value is a list with an element that passes.
    ListContains(Box<Self>),
    /// Any of these passes.
    AnyOf(Box<[Self]>),
}

impl ValueTest {
    /// Returns a test of any of several texts, a single one by itself.
    ///
    /// # Upstream
    ///
    /// istio/istio `pilot/pkg/security/authz/matcher/string.go` `StringOrMatcher`, `OrMatcher`.
    pub fn any_of(mut tests: Vec<Self>) -> Self {
        match (tests.len(), tests.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                tests.extend(last);
                Self::AnyOf(tests.into())
            }
        }
    }

    /// Returns whether the value passes.
    ///
    /// The depth is that of the test, at most four, never that of the value.
    pub fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(test), Value::Text(text)) => test.matches(text.as_bytes()),
            (Self::ListContains(test), Value::List(items)) => {
                items.iter().any(|item| test.matches(item))
            }
            (Self::AnyOf(tests), _) => tests.iter().any(|test| test.matches(value)),
            (Self::Text(_) | Self::ListContains(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Value> {
        "[ab]{0,2}".prop_map(|text| Value::Text(text.into()))
    }

    /// A text or a list that contains one.
    fn claim(test: ValueTest) -> ValueTest {
        ValueTest::AnyOf([ValueTest::ListContains(Box::new(test.clone())), test].into())
    }

    proptest! {
        /// istiod wrote a test for each value of a claim before it wrote one for all of them: proxies
        /// of either age decide alike.
        #[test]
        fn one_test_of_several_values_says_what_one_for_each_says(
            values in prop::collection::vec("[ab*]{0,3}", 1..4),
            found in prop_oneof![
                text(),
                prop::collection::vec(prop_oneof![text(), Just(Value::Bool(true))], 0..3)
                    .prop_map(|items| Value::List(items.into())),
                Just(Value::Number(5.0)),
                Just(Value::Null),
            ],
        ) {
            let tests = || values.iter().map(|value| ValueTest::Text(StringTest::of_value(value)));
            let at_once = claim(ValueTest::any_of(tests().collect()));
            let each = tests().map(claim).any(|test| test.matches(&found));
            prop_assert_eq!(at_once.matches(&found), each);
        }
    }
}
