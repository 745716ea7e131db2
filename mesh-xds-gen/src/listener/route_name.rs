//! The name of the routes that a connection manager asks for, read without the rest of it.
use mesh_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use mesh_envoy_proto::prost::Name;
use mesh_envoy_proto::prost::encoding::decode_varint;
use mesh_envoy_proto::prost_types::Any;

/// `HttpConnectionManager.rds`.
const RDS: u64 = 3;
/// `Rds.route_config_name`.
const NAME: u64 = 2;

/// Returns the name, if that is what the filter is and it asks for routes at all.
pub(super) fn of_manager(config: &Any) -> Option<String> {
    if config.type_url != hcm::HttpConnectionManager::type_url() {
        return None;
    }
    let name = match field(&config.value, RDS)? {
        Some(rds) => field(rds, NAME)?.unwrap_or_default(),
        None => return None,
    };
    String::from_utf8(name.to_vec()).ok()
}

/// The last field of a number that has a length; `None` if the bytes are no message.
fn field(mut bytes: &[u8], number: u64) -> Option<Option<&[u8]>> {
    let mut found = None;
    while !bytes.is_empty() {
        let key = decode_varint(&mut bytes).ok()?;
        match key & 7 {
            0 => drop(decode_varint(&mut bytes).ok()?),
            1 => bytes = bytes.get(8..)?,
            5 => bytes = bytes.get(4..)?,
            2 => {
                let len = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
                let (value, rest) = bytes.split_at_checked(len)?;
                found = if key >> 3 == number { Some(value) } else { found };
                bytes = rest;
            }
            _ => return None,
        }
    }
    Some(found)
}
