//! Shards: the partitions of one topic, each with a process and a state of its own (docs/decisions/0016-shards.md). Here is
//! what the section says, and what of a configuration is another thing for each shard.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Config, Source, raw, raw::RawConfig, resolve::Resolver, resolve::address};
use crate::{diagnostic::Diagnostic, replica::WhenAway, say, source::kafka::KafkaSource, text::quoted};

/// The variable that says which shard a process is, and with `@` where its keeper has it listen.
pub(crate) const VARIABLE: &str = "FISCWATCH_SHARD";

/// The partitions of the source's topic, each taken in by a process of its own on one of several machines.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShardsSpec {
    /// The consumer group by which machines share the shards out among them; not the group of the source.
    pub group: String,
    /// The name of this machine in the group, for good; made of the host's name and the state directory without it.
    pub instance: Option<String>,
    /// Address and port of shard 0, which the others follow port by port; those after `http.listen` without it. Port 0 is any that
    /// is free.
    pub listen: Option<String>,
    /// What becomes of live rules that need the events of all regions: `refuse` to start; `whole`, one process more reads the whole topic
    /// and judges them; or `apart`, each shard judges them by its own events alone.
    pub spanning: Spanning,
}

impl Default for ShardsSpec {
    fn default() -> Self {
        Self {
            group: String::from("fiscwatch-shards"),
            instance: None,
            listen: None,
            spanning: Spanning::Refuse,
        }
    }
}

/// What becomes of live rules that need the events of all regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Spanning {
    /// There may be none.
    Refuse,
    /// One process more reads the whole topic, and judges them alone.
    Whole,
    /// Each shard judges them by itself.
    Apart,
}

/// The section `shards`.
#[derive(Debug, Clone)]
pub struct Shards {
    pub(crate) group: String,
    /// The name of this machine in it.
    pub instance: String,
    /// Where shard 0 listens, and the others port by port after it.
    pub listen: SocketAddr,
    /// What becomes of live rules that need the events of all regions.
    pub spanning: Spanning,
    /// Which shard this process is; `None` for their keeper.
    pub own: Option<Shard>,
}

/// What a process reads of the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShardPart {
    /// One partition.
    Partition(i32),
    /// All of them, for the rules that span regions.
    Whole,
}

/// The word for all partitions.
const WHOLE: &str = "whole";

impl std::fmt::Display for ShardPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Partition(number) => write!(f, "{number}"),
            Self::Whole => f.write_str(WHOLE),
        }
    }
}

impl std::str::FromStr for ShardPart {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            WHOLE => Ok(Self::Whole),
            number => number.parse().ok().filter(|number| *number >= 0).map(Self::Partition).ok_or(()),
        }
    }
}

/// A number, or the word.
impl Serialize for ShardPart {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Partition(number) => to.serialize_i32(*number),
            Self::Whole => to.serialize_str(WHOLE),
        }
    }
}

/// A shard, as a variable names it: `2` or `whole`, or by its keeper `2@127.0.0.1:9467`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    pub(crate) part: ShardPart,
    /// Where its keeper has it listen; it ends with that keeper.
    pub kept_at: Option<SocketAddr>,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (part, address) = match text.split_once('@') {
            Some((part, address)) => (part, Some(address)),
            None => (text, None),
        };
        match (part.parse(), address.map(str::parse).transpose()) {
            (Ok(part), Ok(kept_at)) => Ok(Self { part, kept_at }),
            _ => Err(say!("{text} is no shard; name a partition such as 0, or whole", text = quoted(text))),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kept_at {
            Some(address) => write!(f, "{}@{address}", self.part),
            None => write!(f, "{}", self.part),
        }
    }
}

/// The name of a shard in folders and stores.
pub(crate) fn folder(part: ShardPart) -> String {
    format!("shard-{part}")
}

/// The shard that the environment names.
///
/// # Errors
/// If it is none, or there are no shards.
pub(super) fn named(raw: &RawConfig, variables: &[(String, String)]) -> Result<Option<Shard>, Diagnostic> {
    let Some((_, text)) = variables.iter().find(|(name, _)| name == VARIABLE) else { return Ok(None) };
    let place = format!("${VARIABLE}");
    let shard: Shard = text.parse().map_err(|why| Diagnostic::of_file(&place, why, None))?;
    let message = match &raw.shards {
        None => say!("the configuration has no section shards"),
        Some(spec) if shard.part == ShardPart::Whole && spec.spanning != Spanning::Whole => {
            say!("there is no such process without shards.spanning: whole")
        }
        Some(_) => return Ok(Some(shard)),
    };
    Err(Diagnostic::of_file(&place, message, None))
}

/// The configuration of a shard: what all have in common stays, what one state or one machine can have only once is its own.
pub(super) fn derive(raw: &mut RawConfig, shard: Shard) {
    let own = folder(shard.part);
    for kafka in raw.sources.iter_mut().filter_map(|source| source.kafka.as_mut()) {
        match shard.part {
            ShardPart::Partition(number) => kafka.partition = Some(number),
            // The group's offsets are those of the other shards.
            ShardPart::Whole => kafka.group = format!("{}-{WHOLE}", kafka.group),
        }
    }
    let state = &mut raw.state;
    // What a shard starts is given its directory already.
    if !state.dir.ends_with(&own) {
        state.dir = state.dir.join(&own);
    }
    state.standby = true;
    if let Some(backups) = &mut state.backups {
        *backups = backups.join(&own);
    }
    if let Some(replicate) = &mut state.replicate {
        replicate.to = format!("{}/{own}", replicate.to.trim_end_matches('/'));
    }
    let http = &mut raw.http;
    let first = raw.shards.as_ref().and_then(|spec| first_address(spec, &http.listen));
    let beside_first = || match shard.part {
        ShardPart::Partition(number) => beside(first?, number),
        ShardPart::Whole => None,
    };
    if let Some(address) = shard.kept_at.or_else(beside_first) {
        http.listen = address.to_string();
    }
    http.accept_events = false;
    http.socket = http.socket.take().map(|path| with(&path, &own));
    raw.audit.head_file = raw.audit.head_file.take().map(|path| with(&path, &own));
    // Nothing of a shard is found at the keeper's address by its path there.
    raw.external_url = None;
}

/// Where shard 0 listens, and the next ones port by port after it: after the keeper, unless it is said. `None` if it is no
/// address, which is told elsewhere.
fn first_address(spec: &ShardsSpec, keeper: &str) -> Option<SocketAddr> {
    match &spec.listen {
        Some(first) => first.parse().ok(),
        None => beside(keeper.parse().ok()?, 1),
    }
}

/// Where a shard listens: so many ports after the first one. Where any port will do, it does for all of them.
pub(crate) fn beside(first: SocketAddr, number: i32) -> Option<SocketAddr> {
    let mut address = first;
    if address.port() != 0 {
        address.set_port(address.port().checked_add(u16::try_from(number).ok()?)?);
    }
    Some(address)
}

/// A file of a shard beside the one that is configured: `head.log` is `head.log.shard-2`.
fn with(path: &Path, own: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(own);
    PathBuf::from(name)
}

impl Shards {
    /// The source whose topic is parted.
    #[must_use]
    pub fn source(config: &Config) -> Option<&KafkaSource> {
        config.sources.iter().find_map(|(_, source)| match source {
            Source::Kafka(kafka) => Some(kafka),
            _ => None,
        })
    }
}

impl Resolver<'_> {
    /// The section, with what a configuration with shards cannot have.
    pub(super) fn shards(&mut self, raw: &RawConfig, own: Option<Shard>) -> Option<Shards> {
        let spec = raw.shards.as_ref()?;
        let kafka = match &raw.sources[..] {
            [source] => source.kafka.as_ref().filter(|kafka| kafka.topics.len() == 1),
            _ => None,
        };
        match kafka {
            None => self.problem(say!(
                "shards need exactly one source, of Kafka, with one topic: another one would be read once by each shard"
            )),
            Some(kafka) if kafka.group == spec.group => self.problem(say!(
                "shards.group is that of the source, {group}; name another one: the offsets of the source are committed to its own",
                group = quoted(&spec.group)
            )),
            Some(_) => {}
        }
        let waits = raw.state.replicate.as_ref().is_some_and(|spec| spec.when_away == WhenAway::Wait);
        if !waits {
            self.problem(say!(
                "shards need state.replicate with when_away: wait: a shard that moves to another machine takes its state from there"
            ));
        }
        let instance =
            spec.instance.clone().unwrap_or_else(|| instance_of(&self.path(raw.state.dir.clone())));
        if instance.is_empty() || !instance.chars().all(is_plain) {
            self.problem(say!(
                "shards.instance {name} has to be letters, digits, dots, hyphens and underscores",
                name = quoted(&instance)
            ));
        }
        self.not_with_shards(raw);
        let listen = match &spec.listen {
            Some(text) => address("shards.listen", text).map(Some),
            None => Ok(first_address(spec, &raw.http.listen)),
        };
        let listen = self.told(listen).unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        Some(Shards { group: spec.group.clone(), instance, listen, spanning: spec.spanning, own })
    }

    /// What belongs to one state and has no meaning, or another one, for several.
    fn not_with_shards(&mut self, raw: &RawConfig) {
        let keys = [
            ("http.ingest", raw.http.ingest.is_some()),
            ("http.scrape", raw.http.scrape.is_some()),
            ("http.tls: own", raw.http.tls == Some(raw::TlsTermination::Own)),
            ("decide.kafka", raw.decide.kafka.is_some()),
            ("rules.require_approval", raw.rules.require_approval),
        ];
        for (key, _) in keys.into_iter().filter(|(_, is_set)| *is_set) {
            self.problem(say!("{key} cannot be used together with shards (docs/operations.md, Shards)", key));
        }
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

/// The same name after every start, and another one for another state directory of this machine.
fn instance_of(state_dir: &Path) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host: String = host.chars().filter(|c| is_plain(*c)).collect();
    let dir = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
    let digest = blake3::hash(dir.as_os_str().as_encoded_bytes()).to_hex();
    format!("{host}-{}", &digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_a_number_and_an_address() {
        let address = "127.0.0.1:9467".parse().unwrap();
        let part = ShardPart::Partition(2);
        assert_eq!("2".parse(), Ok(Shard { part, kept_at: None }));
        assert_eq!("2@127.0.0.1:9467".parse(), Ok(Shard { part, kept_at: Some(address) }));
        assert_eq!(Shard { part, kept_at: Some(address) }.to_string(), "2@127.0.0.1:9467");
        let whole = Shard { part: ShardPart::Whole, kept_at: Some(address) };
        assert_eq!("whole@127.0.0.1:9467".parse(), Ok(whole));
        assert_eq!(whole.to_string(), "whole@127.0.0.1:9467");
        for wrong in ["", "x", "-1", "2@", "2@x", "@127.0.0.1:1"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn shards_listen_after_their_keeper() {
        let at = |listen: Option<&str>, keeper: &str, number| {
            let spec = ShardsSpec { listen: listen.map(str::to_owned), ..ShardsSpec::default() };
            first_address(&spec, keeper).and_then(|first| beside(first, number)).map(|address| address.port())
        };
        assert_eq!(at(None, "127.0.0.1:9464", 0), Some(9465));
        assert_eq!(at(None, "127.0.0.1:9464", 3), Some(9468));
        assert_eq!(at(Some("127.0.0.1:7000"), "127.0.0.1:9464", 3), Some(7003));
        assert_eq!(at(Some("127.0.0.1:0"), "127.0.0.1:9464", 3), Some(0));
        assert_eq!(at(None, "127.0.0.1:65535", 0), None);
    }

    #[test]
    fn what_a_state_has_once_is_the_shards_own() {
        let text = "
sources: [{ name: core, kafka: { brokers: [b], topics: [t] } }]
shards: {}
state: { dir: state, backups: /b, replicate: { to: 's3://b/p/', when_away: wait } }
http: { socket: /run/f.sock, listen: '127.0.0.1:9464' }
audit: { head_file: head }
";
        let mut raw: RawConfig = serde_saphyr::from_str(text).unwrap();
        let mut whole: RawConfig = serde_saphyr::from_str(text).unwrap();
        derive(&mut whole, Shard { part: ShardPart::Whole, kept_at: None });
        assert_eq!(whole.state.dir, PathBuf::from("state/shard-whole"));
        let kafka = whole.sources[0].kafka.as_ref().unwrap();
        assert_eq!((kafka.partition, kafka.group.ends_with("-whole")), (None, true));
        derive(&mut raw, Shard { part: ShardPart::Partition(3), kept_at: None });
        assert_eq!(raw.state.dir, PathBuf::from("state/shard-3"));
        assert_eq!(raw.state.backups, Some(PathBuf::from("/b/shard-3")));
        assert_eq!(raw.state.replicate.unwrap().to, "s3://b/p/shard-3");
        assert_eq!(raw.http.socket, Some(PathBuf::from("/run/f.sock.shard-3")));
        assert_eq!(raw.http.listen, "127.0.0.1:9468");
        assert_eq!(raw.audit.head_file, Some(PathBuf::from("head.shard-3")));
        assert_eq!(raw.sources[0].kafka.as_ref().unwrap().partition, Some(3));
    }
}
