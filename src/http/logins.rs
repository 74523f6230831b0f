//! Logging in by a password. Comparing one takes memory and time by intent, so few are compared at a time, and few wait;
//! who was wrong too often is not compared at all. Whatever comes of it is in the audit log before it is answered.

use std::{net::IpAddr, sync::Arc};

use axum::http::StatusCode;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;

use super::{
    Problem,
    arrival::{Arrival, arrive},
    ldap,
    refused::{Cause, Refusals},
    request::blocking,
};
use crate::{
    access::{Actor, NewToken, Password, RetryAfter, SecondFactor, Session, Throttle},
    config::ldap::Directory,
    daemon::Shared,
    say,
    store::{Accounts, AuditedAction, Credential, External},
};

/// Passwords that are compared at a time, and those that wait for it or are compared.
const AT_A_TIME: usize = 2;
const WAITING: usize = 32;
/// Passwords that a directory is asked for at a time.
const ASKED_AT_A_TIME: usize = 8;

/// By what somebody is known whose password a directory takes.
const LDAP: &str = "ldap";

#[derive(Debug)]
pub struct Logins {
    throttle: Mutex<Throttle>,
    waiting: Semaphore,
    comparing: Semaphore,
    asking: Semaphore,
    refusals: Arc<Refusals>,
}

/// Whose password, and from where.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The user's name, as they gave it.
    pub user: String,
    pub password: Password,
    /// A code of the second factor.
    pub totp: Option<String>,
    pub peer: IpAddr,
}

impl Claim {
    fn place(&self) -> String {
        self.peer.to_string()
    }

    /// Who acts, once the claim is known to be true.
    pub fn actor(&self) -> Actor {
        Actor { who: self.user.clone(), place: self.place() }
    }
}

impl Logins {
    /// Nobody has tried yet.
    pub fn new(refusals: &Arc<Refusals>) -> Self {
        Self {
            throttle: Mutex::default(),
            waiting: Semaphore::new(WAITING),
            comparing: Semaphore::new(AT_A_TIME),
            asking: Semaphore::new(ASKED_AT_A_TIME),
            refusals: Arc::clone(refusals),
        }
    }

    /// Begins a session.
    ///
    /// # Errors
    /// If the password is wrong, or there were too many wrong ones.
    pub async fn log_in(&self, shared: &Arc<Shared>, claim: Claim) -> Result<(NewToken, Session), Problem> {
        if let Some(directory) = shared.clients.directory.clone()
            && is_of_directory(shared, claim.user.clone()).await?
        {
            return self.by_directory(shared, claim, &directory).await;
        }
        self.compared(shared, claim, |shared, claim, credential| {
            let mut accounts = Accounts::open(&shared.state_dir)?;
            Ok(accounts.begin_session((&claim.user, credential), &claim.place(), shared.clock.now())?)
        })
        .await
    }

    /// Begins a session of somebody whose password the directory takes. Who was wrong too often is not asked for.
    async fn by_directory(
        &self,
        shared: &Arc<Shared>,
        claim: Claim,
        directory: &Directory,
    ) -> Result<(NewToken, Session), Problem> {
        // A directory does not tell large letters from small ones.
        let (user, peer) = (claim.user.to_lowercase(), claim.peer);
        let held = self.throttle().attempt(&user, peer, shared.clock.now());
        if let Err(wait) = held {
            return Err(self.refuse(shared, claim, wait).await);
        }
        let asked = async {
            let _waiting = self.waiting.try_acquire().map_err(|_| busy())?;
            let _asking = self.asking.acquire().await.map_err(|_| busy())?;
            let asked = ldap::ask(directory, &claim.user, claim.password.reveal()).await;
            asked.map_err(|why| {
                tracing::error!("the directory cannot be asked: {why}");
                let detail = say!("the directory cannot be asked; the log of fiscwatch says why");
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(5)
            })
        };
        let person = match asked.await {
            Ok(person) => person,
            Err(problem) => {
                self.throttle().undo(&user, peer);
                return Err(problem);
            }
        };
        let counted = |result| shared.metrics.logins.with_label_values(&[result]).inc();
        let Some(ldap::Person { subject, name, groups }) = person else {
            counted("wrong");
            let shared = Arc::clone(shared);
            blocking(move || record(&shared, &claim, "wrong")).await?;
            return Err(wrong());
        };
        self.throttle().succeeded(&user, peer);
        counted("right");
        let arrival = Arrival {
            who: External { provider: LDAP, issuer: directory.spec.url.clone(), subject },
            name,
            roles: directory.groups.roles(groups.iter().map(String::as_str)),
            place: claim.place(),
        };
        let begun = arrive(shared, arrival).await?;
        begun.map_err(|why| Problem::new(StatusCode::FORBIDDEN, why))
    }

    /// Gives the user another password, which ends all their sessions, and begins a new one.
    ///
    /// # Errors
    /// If the password is wrong, or the new one may not be.
    pub async fn change(
        &self,
        shared: &Arc<Shared>,
        claim: Claim,
        new: Password,
    ) -> Result<(NewToken, Session), Problem> {
        new.check(&claim.user).map_err(Problem::unprocessable)?;
        self.compared(shared, claim, move |shared, claim, old| {
            if new.is(Some(&old.password)) {
                return Err(Problem::unprocessable(say!(
                    "that is the password that it is to take the place of"
                )));
            }
            let kept = new.hash().map_err(Problem::unprocessable)?;
            let mut accounts = Accounts::open(&shared.state_dir)?;
            let (place, now) = (claim.place(), shared.clock.now());
            accounts.set_password(&claim.user, &kept, &claim.actor(), now)?;
            let credential = accounts.credential(&claim.user)?.ok_or_else(wrong)?;
            Ok(accounts.begin_session((&claim.user, &credential), &place, now)?)
        })
        .await
    }

    /// Compares a password, and the code of who has a second factor, and goes on with `work` if they are right.
    ///
    /// # Errors
    /// If they are not, or there were too many wrong ones.
    pub async fn compared<T: Send + 'static>(
        &self,
        shared: &Arc<Shared>,
        claim: Claim,
        work: impl FnOnce(&Shared, &Claim, &Credential) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (user, peer) = (claim.user.clone(), claim.peer);
        let held = self.throttle().attempt(&user, peer, shared.clock.now());
        if let Err(wait) = held {
            return Err(self.refuse(shared, claim, wait).await);
        }
        let done = self.in_turn(Arc::clone(shared), claim, work).await;
        match &done {
            Ok(Compared::Right(_)) => self.throttle().succeeded(&user, peer),
            Ok(Compared::Wrong | Compared::WrongCode) => {}
            // Who typed the right password is asked for the code then.
            Ok(Compared::NoCode) | Err(_) => self.throttle().undo(&user, peer),
        }
        match done? {
            Compared::Right(done) => Ok(done),
            Compared::Wrong => Err(wrong()),
            Compared::NoCode => Err(code(say!("give the code of your authenticator too (totp)"))),
            Compared::WrongCode => Err(code(say!(
                "the code is wrong, or was used already; wait for the next one, and compare the clock of the authenticator"
            ))),
        }
    }

    /// The same when it is its turn.
    async fn in_turn<T: Send + 'static>(
        &self,
        shared: Arc<Shared>,
        claim: Claim,
        work: impl FnOnce(&Shared, &Claim, &Credential) -> Result<T, Problem> + Send + 'static,
    ) -> Result<Compared<T>, Problem> {
        let Ok(_waiting) = self.waiting.try_acquire() else { return Err(busy()) };
        let _comparing = self.comparing.acquire().await.map_err(|_| busy())?;
        blocking(move || {
            let accounts = Accounts::open_read_only(&shared.state_dir)?;
            let credential = accounts.credential(&claim.user)?;
            let is_right = claim.password.is(credential.as_ref().map(|credential| &*credential.password));
            let counted = |result| shared.metrics.logins.with_label_values(&[result]).inc();
            let Some(credential) = credential.filter(|_| is_right) else {
                counted("wrong");
                record(&shared, &claim, "wrong")?;
                return Ok(Compared::Wrong);
            };
            if let Some(secret) = credential.factor.secret() {
                let Some(given) = &claim.totp else { return Ok(Compared::NoCode) };
                let factor = SecondFactor::read(secret, &claim.user);
                let step = factor.and_then(|factor| factor.step(given, shared.clock.now()));
                let used = step.map(|step| Accounts::open(&shared.state_dir)?.use_code(&claim.user, step));
                if !used.transpose()?.unwrap_or(false) {
                    counted("wrong");
                    record(&shared, &claim, "wrong code")?;
                    return Ok(Compared::WrongCode);
                }
            }
            let done = work(&shared, &claim, &credential)?;
            counted("right");
            Ok(Compared::Right(done))
        })
        .await
    }

    /// Says how long to wait. Each such try is counted, and the first of each wait is recorded, so that nobody can fill the
    /// log.
    async fn refuse(&self, shared: &Arc<Shared>, claim: Claim, wait: RetryAfter) -> Problem {
        self.refusals.count(Cause::Logins);
        shared.metrics.logins.with_label_values(&["throttled"]).inc();
        if wait.is_first {
            let shared = Arc::clone(shared);
            if let Err(problem) = blocking(move || record(&shared, &claim, "throttled")).await {
                return problem;
            }
        }
        let seconds = u32::try_from(wait.lasts.as_seconds() + 1).unwrap_or(u32::MAX);
        let detail = say!(
            "there were too many wrong passwords; try again in {seconds} s. Whoever manages users can set a new one with `fiscwatch user password`",
            seconds
        );
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).because("throttled").again_after(seconds)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock()
    }
}

/// Whether the directory is asked for this name: nobody has it here, or somebody whom the directory knows.
async fn is_of_directory(shared: &Arc<Shared>, user: String) -> Result<bool, Problem> {
    let shared = Arc::clone(shared);
    blocking(move || {
        let accounts = Accounts::open_read_only(&shared.state_dir)?;
        Ok(accounts.user(&user)?.is_none() || accounts.comes_by(&user)?.as_deref() == Some(LDAP))
    })
    .await
}

/// What came of comparing.
enum Compared<T> {
    Right(T),
    Wrong,
    NoCode,
    WrongCode,
}

/// Records that somebody could not log in. A name that nobody has is not repeated: people type passwords there.
fn record(shared: &Shared, claim: &Claim, result: &str) -> Result<(), Problem> {
    let mut accounts = Accounts::open(&shared.state_dir)?;
    let subject = match accounts.user(&claim.user)? {
        Some(user) => user.name,
        None => String::new(),
    };
    let actor = Actor { who: String::new(), place: claim.place() };
    let deed = AuditedAction { action: "sessions.begin", subject: &subject, result, detail: "" };
    Ok(accounts.record(&actor, deed, shared.clock.now())?)
}

fn wrong() -> Problem {
    let detail = say!("the name or the password is wrong");
    Problem::new(StatusCode::UNAUTHORIZED, detail).because("credentials")
}

fn code(detail: String) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail).because("totp")
}

fn busy() -> Problem {
    let detail = say!("too many people log in at this moment; try again in a second");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(1)
}
