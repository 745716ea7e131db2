//! Hash functions and policies, each against its oracle.
use mesh_lb::grpc::hash_policy::{self as grpc, GrpcHashMethod, GrpcHashPolicy};
use mesh_lb::pick::hash::{HashFunction, xx_hash_64};
use mesh_lb::pick::hash_policy::{AbsentCookie, HashInput, HashMethod, HashPolicy, hash};
use mesh_testkit::oracle::hash::{self as oracle, Part, Request};
use proptest::collection::vec;
use proptest::prelude::*;

fn method(part: &Part) -> HashMethod {
    match part {
        Part::Header(name) => HashMethod::Header(name.as_str().into()),
        Part::Cookie(name, made) => HashMethod::Cookie {
            name: name.as_str().into(),
            absent: if *made { AbsentCookie::Generate } else { AbsentCookie::Ignore },
        },
        Part::SourceIp => HashMethod::SourceIp,
        Part::Parameter(name) => HashMethod::QueryParameter(name.as_str().into()),
        Part::State(name) => HashMethod::FilterState(name.as_str().into()),
    }
}

/// Few names, so that requests have what policies look for.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(str::to_owned)
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        prop_oneof![name(), Just("cookie".to_owned())].prop_map(Part::Header),
        (name(), any::<bool>()).prop_map(|(name, made)| Part::Cookie(name, made)),
        Just(Part::SourceIp),
        name().prop_map(Part::Parameter),
        name().prop_map(Part::State),
    ]
}

fn header() -> impl Strategy<Value = (String, String)> {
    let key = prop_oneof![
        name(),
        name().prop_map(|name| name.to_uppercase()),
        Just("cookie".to_owned()),
        Just("Cookie".to_owned()),
    ];
    let value = prop_oneof![
        "[ -~]{0,12}",
        vec("[ ]{0,2}[abc]=(\"?[xyz ]{0,3}\"?|[=\"]{0,3})", 0..4).prop_map(|all| all.join(";")),
    ];
    (key, value)
}

fn request() -> impl Strategy<Value = Request> {
    let path = prop_oneof!["/[a-c?&=%]{0,12}", "/p\\?([abc]=[xyz=]{0,3}&){0,4}[abc]?"];
    let address = prop_oneof![Just(String::new()), "10\\.0\\.0\\.[0-9]"];
    let state = vec((name(), any::<u64>()), 0..3);
    (vec(header(), 0..5), path, [address.clone(), address.clone(), address], state)
        .prop_map(|(headers, path, addresses, state)| Request { headers, path, addresses, state })
}

fn borrowed(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

proptest! {
    #[test]
    fn a_request_hashes_as_the_oracle_hashes_it(
        policies in vec((part(), any::<bool>()), 0..5),
        request in request(),
    ) {
        let headers = borrowed(&request.headers);
        let state: Vec<(&str, u64)> =
            request.state.iter().map(|(name, hash)| (name.as_str(), *hash)).collect();
        let [source_ip, remote_address, local_address] = request.addresses.each_ref();
        let input = HashInput {
            headers: &headers,
            path: &request.path,
            source_ip,
            remote_address,
            local_address,
            filter_state: &state,
        };
        let of = |(part, terminal): &(Part, bool)| HashPolicy { method: method(part), terminal: *terminal };
        let engine: Vec<HashPolicy> = policies.iter().map(of).collect();
        let got = hash(&engine, &input);
        let cookies: Vec<String> = got.cookies.into_iter().map(|(_, value)| value).collect();
        prop_assert_eq!((got.hash, cookies), oracle::of_request(&policies, &request));
    }

    #[test]
    fn an_rpc_hashes_as_the_oracle_hashes_it(
        policies in vec((proptest::option::of(prop_oneof![name(), Just("a-bin".to_owned())]), any::<bool>()), 0..5),
        headers in vec(prop_oneof![header(), Just(("a-bin".to_owned(), "1".to_owned()))], 0..5),
        channel: u64,
    ) {
        let of = |(name, terminal): &(Option<String>, bool)| GrpcHashPolicy {
            method: name.as_ref().map_or(GrpcHashMethod::ChannelId, |name| {
                GrpcHashMethod::Header(name.as_str().into())
            }),
            terminal: *terminal,
        };
        let engine: Vec<GrpcHashPolicy> = policies.iter().map(of).collect();
        let got = grpc::hash(&engine, &borrowed(&headers), channel, |_, value| value);
        prop_assert_eq!(got, oracle::of_rpc(&policies, &headers, channel));
    }

    #[test]
    fn texts_hash_by_the_published_steps(bytes in vec(any::<u8>(), 0..100), seed: u64) {
        prop_assert_eq!(xx_hash_64(&bytes, seed), oracle::xx_64(&bytes, seed));
        prop_assert_eq!(HashFunction::MurmurHash2.hash(&bytes), oracle::murmur_2(&bytes));
    }
}
