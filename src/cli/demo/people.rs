//! Who works in the demo: users that anybody who watches can be by one click, and what they do meanwhile with the alerts, so
//! that there are some in every state.

use std::{path::Path, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{
    access::{Actor, NewToken, Password, Role, Roles},
    alert::{Action, CaseOutcome, casework::Terms, desk::Order},
    config::clients::DemoLogin,
    daemon::Shared,
    event::{Cents, Instant},
    say,
    store::{Accounts, CaseFilter, Cases},
    text::{Language, spoken},
};

/// Everybody with what they are there for; the first two work alerts.
const PEOPLE: [(&str, &str, Role); 7] = [
    ("王芳", "wangfang", Role::Officer),
    ("李强", "liqiang", Role::Supervisor),
    ("赵敏", "zhaomin", Role::Author),
    ("黄磊", "huanglei", Role::Approver),
    ("陈静", "chenjing", Role::Auditor),
    ("孙伟", "sunwei", Role::Security),
    ("周磊", "zhoulei", Role::System),
];

/// How often somebody works on one alert.
const EVERY: Duration = Duration::from_millis(1500);
/// Alerts that they look through for it.
const LOOKED_AT: u32 = 200;

fn name((zh, en, _): (&str, &str, Role)) -> String {
    match spoken() {
        Language::Zh => zh.to_owned(),
        Language::En => en.to_owned(),
    }
}

/// Everybody, with a password that is made up for this run.
pub(crate) fn offers() -> Vec<DemoLogin> {
    let offer = |one: (&str, &str, Role)| DemoLogin {
        user: name(one),
        password: NewToken::make().text,
        role: one.2.word(),
    };
    PEOPLE.into_iter().map(offer).collect()
}

/// Adds them to the state.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn add(offers: &[DemoLogin], state: &Path, now: Instant) -> anyhow::Result<()> {
    let mut accounts = Accounts::open(state)?;
    for (offer, (.., role)) in offers.iter().zip(PEOPLE) {
        let wrong = |why: String| anyhow::anyhow!(why);
        let roles = Roles::of_person([role]).map_err(wrong)?;
        let kept = Password::from(offer.password.clone()).hash().map_err(wrong)?;
        accounts.add_user_with((&offer.user, Some(&kept)), &roles, &Actor::daemon(), now)?;
    }
    Ok(())
}

/// Works on alerts, one after another, until asked to stop.
pub(crate) fn work(shared: &Arc<Shared>, stop: &CancellationToken) {
    let all =
        CaseFilter { state: Some(String::from("open")), limit: Some(LOOKED_AT), ..CaseFilter::default() };
    while !stop.is_cancelled() {
        std::thread::sleep(EVERY);
        // It is a demo: what fails now is tried with the next alert.
        if let Err(error) = work_on_one(shared, all.clone()) {
            tracing::debug!("nobody works on an alert: {error:#}");
        }
    }
}

fn work_on_one(shared: &Shared, open: CaseFilter) -> anyhow::Result<()> {
    let now = shared.clock.now();
    let wanted = open.understood(&shared.calendar, now).map_err(|why| anyhow::anyhow!(why))?;
    let cases = Cases::open_read_only(&shared.state_dir)?;
    let found = cases.list(&wanted)?.into_iter().find(|alert| !plan(&alert.alert_id).is_empty());
    let Some(alert) = found else { return Ok(()) };
    let who = name(PEOPLE[usize::from(dice(&alert.alert_id) % 2)]);
    let actor = Actor { who: who.clone(), place: String::from("demo") };
    let mut cases = Cases::open(&shared.state_dir)?.by(actor);
    for action in plan(&alert.alert_id) {
        let terms = match action {
            Action::Close => {
                let amount = alert.case.amount.filter(|amount| *amount > Cents::ZERO);
                let outcome = if amount.is_some() {
                    CaseOutcome::MoneyReturned
                } else {
                    CaseOutcome::DocumentsSupplied
                };
                Terms { outcome: Some(outcome), amount, ..Terms::default() }
            }
            _ => Terms::default(),
        };
        let (who, why) = (who.clone(), Some(why(*action)));
        let order = Order { action: *action, who, why, version: None, letter: None, terms };
        cases.act(&alert.alert_id, &order, &shared.desk(), now)?;
    }
    shared.wake_dispatch();
    Ok(())
}

/// A number that is the alert's own: the same in each run of a seed.
fn dice(alert_id: &str) -> u8 {
    alert_id.bytes().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte))
}

/// What is done with an alert. Half of them wait for whoever watches.
fn plan(alert_id: &str) -> &'static [Action] {
    use Action::{Acknowledge, Close, Comment, Confirm, Dismiss, Rectify};
    match dice(alert_id) / 2 % 12 {
        0 => &[Acknowledge],
        1 => &[Acknowledge, Comment],
        2 => &[Acknowledge, Confirm],
        3 => &[Acknowledge, Confirm, Rectify],
        4 => &[Acknowledge, Confirm, Rectify, Close],
        5 => &[Acknowledge, Dismiss],
        _ => &[],
    }
}

fn why(action: Action) -> String {
    match action {
        Action::Confirm => say!("the unit has admitted it"),
        Action::Dismiss => say!("approved beforehand, the papers are there"),
        Action::Rectify => say!("to be paid back within five days"),
        Action::Close => say!("paid back in full"),
        _ => say!("the unit was called and will explain"),
    }
}
