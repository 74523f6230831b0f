//! Taking a state that is replicated: who has it is asked of the store, and decided there.

use std::time::Duration;

use anyhow::anyhow;

use super::standby::StandbyServer;
use crate::{
    clock::{Clock, SystemClock},
    config::Config,
    daemon::reload::{Signal, Signals},
    http::Ports,
    replica::{BucketError, Candidate, ClaimStatus, Claimed, Mark, ReplicaError, ReplicaSettings, WhenAway},
    say,
    store::is_state,
};

/// How often a look is taken in the time after which a silent machine is taken for gone.
const LOOKS: u32 = 10;
/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// So many looks are between two times that sealed files are fetched ahead.
const FETCH_EVERY: u32 = 15;

/// A state that this process has in the store, or will have as soon as the store answers.
pub(crate) struct Replica {
    pub candidate: Candidate,
    /// What was taken; `None` while the store is away.
    pub claimed: Option<Claimed>,
    /// Whether it was another one's before.
    pub after_another: bool,
}

/// Work that waits for the store, where it keeps nobody else from working.
async fn aside<T: Send + 'static>(
    mut candidate: Candidate,
    work: impl FnOnce(&mut Candidate) -> T + Send + 'static,
) -> anyhow::Result<(Candidate, T)> {
    Ok(tokio::task::spawn_blocking(move || {
        let done = work(&mut candidate);
        (candidate, done)
    })
    .await?)
}

/// Takes the state, or waits until nobody has it; `None` if we are asked to stop meanwhile.
///
/// # Errors
/// If somebody has it and this is no standby, or it cannot be taken.
pub(super) async fn take(
    config: &Config,
    settings: &ReplicaSettings,
    signals: &mut Signals,
    (ports, door): (&Ports, &mut Option<StandbyServer>),
) -> anyhow::Result<Option<Replica>> {
    let mut candidate = Candidate::new(settings, &config.state_dir)?;
    let pause = (settings.takeover_after / LOOKS).min(PAUSE_MAX);
    let (mut looks, mut told) = (0, StandbyNotice::Nothing);
    loop {
        let (with, tried) = aside(candidate, try_to_take).await?;
        candidate = with;
        match tried {
            Ok(Tried::Taken(claimed)) => {
                let after_another = claimed.restored || told != StandbyNotice::Nothing;
                return Ok(Some(Replica { candidate, claimed: Some(claimed), after_another }));
            }
            Ok(Tried::Held { holder, lives }) => {
                let holder = holder.unwrap_or_else(|| say!("another machine"));
                if lives && !config.standby {
                    return Err(held_by(&holder, settings));
                }
                told.held(&holder);
            }
            Ok(Tried::ByHand { holder }) => return Err(only_people_can_tell(&holder, config, settings)),
            Err(error) if goes_on_without(config, settings, &error)? => {
                return Ok(Some(Replica { candidate, claimed: None, after_another: false }));
            }
            Err(error) => told.away(&error),
        }
        if door.is_none() {
            *door = Some(StandbyServer::open(config, ports)?);
        }
        looks += 1;
        if config.standby && looks % FETCH_EVERY == 1 {
            candidate = fetch_ahead(candidate).await?;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            signal = signals.next() => if matches!(signal, Signal::Stop) {
                return Ok(None);
            },
        }
    }
}

/// What came of an attempt to take the state.
enum Tried {
    Taken(Claimed),
    /// Another machine has it.
    Held {
        /// `None` for whoever claimed it just before us.
        holder: Option<String>,
        /// Whether it gives signs of life.
        lives: bool,
    },
    /// Somebody has it who goes on without the store: only people can tell whether that one is gone.
    ByHand {
        holder: String,
    },
}

/// Looks who has the state, and claims it if nobody has.
fn try_to_take(candidate: &mut Candidate) -> Result<Tried, ReplicaError> {
    Ok(match candidate.look()? {
        ClaimStatus::Free => match candidate.claim(SystemClock.now())? {
            Some(claimed) => Tried::Taken(claimed),
            None => Tried::Held { holder: None, lives: true },
        },
        ClaimStatus::Held { holder, lives, .. } => Tried::Held { holder: Some(holder), lives },
        ClaimStatus::ByHand { holder } => Tried::ByHand { holder },
    })
}

fn held_by(holder: &str, settings: &ReplicaSettings) -> anyhow::Error {
    anyhow!(say!(
        "another instance has the state in the store {place}: {holder}. Stop that one first, or let this one wait (state.standby: true)",
        place = settings.place,
        holder
    ))
}

fn only_people_can_tell(holder: &str, config: &Config, settings: &ReplicaSettings) -> anyhow::Error {
    anyhow!(say!(
        "{holder} had the state in the store {place} last, and gives no sign of life; it goes on without the store when that is away, so what it committed last may not be there. Start it again; or, if it is gone for good, move {dir} away, `fiscwatch state restore --from {place} --to {dir}`, and start this one",
        holder,
        place = settings.place,
        dir = config.state_dir.display()
    ))
}

/// Fetches sealed files while another one has the state, so that taking over takes less time.
async fn fetch_ahead(candidate: Candidate) -> anyhow::Result<Candidate> {
    let (candidate, fetched) = aside(candidate, |candidate| candidate.fetch_ahead()).await?;
    match fetched {
        Ok(0) => {}
        Ok(bytes) => tracing::info!(bytes, "sealed files were fetched ahead"),
        Err(error) => tracing::debug!("sealed files could not be fetched ahead: {error}"),
    }
    Ok(candidate)
}

/// Whether a start goes on without a store that is away; `false` if it waits for it.
///
/// # Errors
/// If it does neither.
fn goes_on_without(
    config: &Config,
    settings: &ReplicaSettings,
    error: &ReplicaError,
) -> anyhow::Result<bool> {
    let is_away = matches!(error, ReplicaError::Bucket(BucketError::Away { .. }));
    let refused = || Err(anyhow!("{error}"));
    match settings.when_away {
        _ if !is_away => refused(),
        WhenAway::Wait if config.standby => Ok(false),
        WhenAway::Wait => refused(),
        // It must have been this machine's before: nobody else's is gone on with.
        WhenAway::GoOn => {
            let mark = Mark::read(&config.state_dir)?;
            match is_state(&config.state_dir) && mark.is_some_and(|mark| mark.restored.is_none()) {
                true => {
                    tracing::error!("{error}; the start goes on without it (state.replicate.when_away)");
                    Ok(true)
                }
                false => refused(),
            }
        }
    }
}

/// What was told of the waiting.
#[derive(Debug, PartialEq, Eq)]
enum StandbyNotice {
    Nothing,
    Away,
    Held(String),
}

impl StandbyNotice {
    fn away(&mut self, error: &ReplicaError) {
        if *self != Self::Away {
            tracing::warn!("standby: {error}; it is asked again");
            *self = Self::Away;
        }
    }

    fn held(&mut self, holder: &str) {
        if !holder.is_empty() && *self != Self::Held(holder.to_owned()) {
            tracing::info!(holder, "standby: waiting until the other instance gives no sign of life");
            *self = Self::Held(holder.to_owned());
        }
    }
}
