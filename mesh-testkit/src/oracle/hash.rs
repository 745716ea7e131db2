//! Hashes of requests: the hash functions by their published steps, and policies each by itself, whose
//! findings are put together in the end.

/// What one policy looks at.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a test maps each one to the engine's")]
pub enum Part {
    /// All values of a header.
    Header(String),
    /// A cookie, and whether one is made where it is missing.
    Cookie(String, bool),
    /// The address of the caller.
    SourceIp,
    /// The first value of a parameter.
    Parameter(String),
    /// An object that knows its hash.
    State(String),
}

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The path and query.
    pub path: String,
    /// The address of the caller, without and with port, and the address that was called.
    pub addresses: [String; 3],
    /// Names of objects, and their hashes.
    pub state: Vec<(String, u64)>,
}

/// The hash of a request by policies, each with whether it is terminal; and the cookies that are made.
///
/// A policy ends the search if it is terminal and it or one before it has found something. The hash of
/// each finding is turned left once for each finding after it; all together are added bit by bit.
pub fn of_request(policies: &[(Part, bool)], request: &Request) -> (Option<u64>, Vec<String>) {
    let found: Vec<Option<(u64, Option<String>)>> =
        policies.iter().map(|(part, _)| part.find(request)).collect();
    let terminal: Vec<bool> = policies.iter().map(|(_, terminal)| *terminal).collect();
    let considered: Vec<(u64, Option<String>)> =
        found.iter().take(end(&found, &terminal)).flatten().cloned().collect();
    let hashes: Vec<u64> = considered.iter().map(|(hash, _)| *hash).collect();
    (joined(&hashes), considered.into_iter().filter_map(|(_, cookie)| cookie).collect())
}

/// How many policies are considered.
fn end<T>(found: &[Option<T>], terminal: &[bool]) -> usize {
    let ends = |at: &usize| {
        let known = found.iter().take(at + 1).any(Option::is_some);
        known && terminal.get(*at) == Some(&true)
    };
    (0..found.len()).find(ends).map_or(found.len(), |last| last + 1)
}

fn joined(hashes: &[u64]) -> Option<u64> {
    let turned = hashes.iter().rev().zip(0..).map(|(hash, turns)| hash.rotate_left(turns % 64));
    turned.reduce(|sum, hash| sum ^ hash)
}

impl Part {
    /// What is found: a hash, and the cookie if it was made.
    fn find(&self, request: &Request) -> Option<(u64, Option<String>)> {
        let text = |text: &str| (xx_64(text.as_bytes(), 0), None);
        match self {
            Self::Header(name) => {
                let mut values = request.values(name);
                values.sort();
                let chained = |seed: u64, value: &String| xx_64(value.as_bytes(), seed);
                (!values.is_empty()).then(|| (values.iter().fold(0, chained), None))
            }
            Self::Cookie(name, made) => match request.cookie(name) {
                Some(value) if !value.is_empty() => Some(text(&value)),
                _ if !made => None,
                _ => {
                    let ends = request.addresses.iter().skip(1).cloned().collect::<String>();
                    let cookie = format!("{:016x}", xx_64(ends.as_bytes(), 0));
                    Some((xx_64(cookie.as_bytes(), 0), Some(cookie)))
                }
            },
            Self::SourceIp => {
                request.addresses.first().filter(|ip| !ip.is_empty()).map(|ip| text(ip))
            }
            Self::Parameter(name) => {
                let mut halves = request.path.splitn(2, '?').skip(1);
                let pairs = halves.next()?.split('&').map(|pair| format!("{pair}="));
                let wanted = format!("{name}=");
                let pair = pairs.into_iter().find(|pair| pair.starts_with(&wanted))?;
                // Written `NAME=VALUE=` by now, or `NAME=` if there is no value.
                let value = pair.strip_prefix(&wanted).unwrap_or_default();
                Some(text(value.strip_suffix('=').unwrap_or(value)))
            }
            Self::State(name) => {
                let object = request.state.iter().find(|(key, _)| key == name);
                object.map(|(_, hash)| (*hash, None))
            }
        }
    }
}

impl Request {
    fn values(&self, name: &str) -> Vec<String> {
        let is_named = |header: &&(String, String)| header.0.to_lowercase() == name.to_lowercase();
        self.headers.iter().filter(is_named).map(|(_, value)| value.clone()).collect()
    }

    /// The first cookie of a name, without a pair of quotes around it.
    fn cookie(&self, name: &str) -> Option<String> {
        let all = self.values("cookie").join(";");
        for cookie in all.split(';') {
            let mut halves = cookie.trim_start_matches(' ').splitn(2, '=');
            if let (Some(key), Some(value)) = (halves.next(), halves.next())
                && key == name
            {
                let quoted = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
                let inner = value.chars().skip(1).take(value.chars().count().saturating_sub(2));
                return Some(if quoted { inner.collect() } else { value.to_owned() });
            }
        }
        None
    }
}

/// The hash of an RPC by a gRPC client's policies: `None` stands for the channel itself. Values of a
/// header are joined by commas; binary headers and absent ones are as if there were no policy.
pub fn of_rpc(
    policies: &[(Option<String>, bool)],
    headers: &[(String, String)],
    channel: u64,
) -> Option<u64> {
    let request = Request { headers: headers.to_vec(), ..Request::default() };
    let (mut found, mut terminal) = (Vec::new(), Vec::new());
    for (name, ends) in policies {
        let hash = match name.as_ref().map(|name| (name, request.values(name))) {
            None => channel,
            Some((name, values)) if name.ends_with("-bin") || values.is_empty() => continue,
            Some((_, values)) => xx_64(values.join(",").as_bytes(), 0),
        };
        found.push(Some(hash));
        terminal.push(*ends);
    }
    let considered: Vec<u64> =
        found.iter().take(end(&found, &terminal)).flatten().copied().collect();
    joined(&considered)
}

const PRIMES: [u64; 5] = [
    11_400_714_785_074_694_791,
    14_029_467_366_897_019_727,
    1_609_587_929_392_839_161,
    9_650_029_242_287_828_579,
    2_870_177_450_012_600_261,
];

/// XXH64 with the modulus written out.
pub fn xx_64(bytes: &[u8], seed: u64) -> u64 {
    let [p1, p2, p3, p4, p5] = PRIMES;
    let round = |lane: u64, word: u64| times(plus(lane, times(word, p2)).rotate_left(31), p1);
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let blocks = bytes.len() / 32;
    let mut hash = plus(seed, p5);
    if blocks > 0 {
        let mut lanes =
            [plus(seed, plus(p1, p2)), plus(seed, p2), seed, plus(seed, u64::MAX - p1 + 1)];
        for block in bytes.chunks(32).take(blocks) {
            for (lane, word) in lanes.iter_mut().zip(block.chunks(8)) {
                *lane = round(*lane, number(word));
            }
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        hash = turned.fold(0, plus);
        for lane in lanes {
            hash = plus(times(hash ^ round(0, lane), p1), p4);
        }
    }
    hash = plus(hash, length);
    let mut rest = bytes.iter().copied().skip(32 * blocks).collect::<Vec<u8>>();
    while !rest.is_empty() {
        let taken = if rest.len() >= 8 { 8 } else { if rest.len() >= 4 { 4 } else { 1 } };
        let word = number(&rest.drain(..taken).collect::<Vec<u8>>());
        hash = match taken {
            8 => plus(times((hash ^ round(0, word)).rotate_left(27), p1), p4),
            4 => plus(times((hash ^ times(word, p1)).rotate_left(23), p2), p3),
            _ => times((hash ^ times(word, p5)).rotate_left(11), p1),
        };
    }
    hash = times(hash ^ (hash >> 33), p2);
    hash = times(hash ^ (hash >> 29), p3);
    hash ^ (hash >> 32)
}

/// The 64-bit `MurmurHash2` of the C++ library, seed included.
pub fn murmur_2(bytes: &[u8]) -> u64 {
    let factor = 0xc6a4_a793_5bd1_e995;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut hash = 0xc70f_6907 ^ times(length, factor);
    for word in bytes.chunks(8) {
        let whole = word.len() == 8;
        let mixed = times(number(word), factor);
        let mixed = times(mixed ^ (mixed >> 47), factor);
        hash = times(hash ^ if whole { mixed } else { number(word) }, factor);
    }
    hash = times(hash ^ (hash >> 47), factor);
    hash ^ (hash >> 47)
}

/// Little-endian bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number * 256 + u64::from(*byte))
}

fn plus(a: u64, b: u64) -> u64 {
    low(u128::from(a) + u128::from(b))
}

fn times(a: u64, b: u64) -> u64 {
    low(u128::from(a) * u128::from(b))
}

fn low(number: u128) -> u64 {
    u64::try_from(number % (1 << 64)).unwrap_or(0)
}
