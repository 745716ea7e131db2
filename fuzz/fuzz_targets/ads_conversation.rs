//! Conversations: whatever is published, wanted, rejected, lost or repeated, and in whatever order it
//! arrives, the model client ends with the server's snapshot, and nothing is said in vain.
//!
//! The first byte picks the protocol and how the session is set up, the others are the transcript.
#![cfg_attr(fuzzing, no_main)]

use std::collections::BTreeSet;

use mesh_testkit::oracle::ads_client::Protocol;
use mesh_xds_gen::delta::{RejectedNames, Retirement, SessionConfig};
use mesh_xds_gen::snapshot::TypeUrl;

use self::world::{Contents, KINDS, NAMES, Op, World, all_new};

#[path = "../../mesh-xds-gen/tests/conversation/world.rs"]
mod world;

mesh_fuzz::target!(|bytes| {
    let mut bytes = bytes.iter().copied().take(400);
    let Some(setup) = bytes.next() else { return };
    let protocol = if setup & 1 == 0 { Protocol::StateOfTheWorld } else { Protocol::Delta };
    let rejects = setup & 2 != 0;
    let config = SessionConfig {
        retirement: if setup & 4 == 0 { Retirement::AtOnce } else { Retirement::MakeBeforeBreak },
        // Ignored names may wait for ever, as upstream, once something is rejected.
        rejected_names: if setup & 8 == 0 && !rejects {
            RejectedNames::Ignored
        } else {
            RejectedNames::Adopted
        },
        ..SessionConfig::default()
    };
    let mut world = World::new(protocol, config, &[TypeUrl::ENDPOINT.as_str()]);
    while let Some(op) = op(&mut bytes, protocol, rejects) {
        world.step(op);
    }
    world.settle();
    if rejects {
        world.step(Op::Publish(all_new()));
        world.settle();
    }
    assert_eq!(world.check_converged(), Ok(()));
    assert_eq!(world.client.complaints(), [""; 0]);
});

/// The next step of a transcript.
fn op(bytes: &mut impl Iterator<Item = u8>, protocol: Protocol, rejects: bool) -> Option<Op> {
    let code = bytes.next()?;
    let (name, argument) = (code % 16, code / 16);
    Some(match name {
        0 | 1 => Op::Publish(contents(bytes)?),
        2..5 => {
            let kind = kind(argument);
            let names = bytes.next()?;
            let mut wanted = names_of(names);
            let has_star = protocol == Protocol::Delta || kind.is_full_state();
            if names & 16 != 0 && has_star {
                wanted.insert("*".to_owned());
            }
            Op::Want { kind, wanted }
        }
        5 => Op::WantAgain { kind: kind(argument), name: NAMES[usize::from(argument / 4 % 4)] },
        6..9 => Op::Serve,
        9..12 => Op::Poll,
        12..14 => Op::Receive { accept: !rejects || argument % 4 != 0 },
        14 => Op::Settle,
        _ => Op::Reconnect { keep_nonces: argument % 2 == 0 },
    })
}

fn kind(number: u8) -> TypeUrl {
    KINDS[usize::from(number % 4)].clone()
}

fn names_of(bits: u8) -> BTreeSet<String> {
    let names = NAMES.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
    names.map(|(_, name)| (*name).to_owned()).collect()
}

/// A byte a type: for each name two bits, absent or one of three contents.
fn contents(bytes: &mut impl Iterator<Item = u8>) -> Option<Contents> {
    let mut contents = Contents::new();
    for kind in KINDS {
        let bits = bytes.next()?;
        let of = |(at, name): (usize, &&'static str)| {
            let content = u32::from(bits >> (2 * at) & 3);
            (content > 0).then_some((*name, content))
        };
        contents.insert(kind, NAMES.iter().enumerate().filter_map(of).collect());
    }
    Some(contents)
}
