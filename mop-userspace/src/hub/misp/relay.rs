//! From the queue to the server.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::watch, time::sleep};
use tokio_postgres::Client;

use super::{
    RelayConfiguration, RelayVitals,
    builder::{Builder, Draft},
    markings::Markings,
    queue::{self, Key, Waiting},
    server::{Reply, Server, Setback, UNAUTHORISED, misdirected},
};
use crate::{
    failure::Failure,
    hub::{
        backoff::Backoff,
        database::{Database, trouble},
        migrations,
        vitals::add,
    },
    sinks::Trouble,
};

/// Tells MISP of findings, until it is asked to stop.
pub(crate) struct Relay {
    database: Database,
    migrate: bool,
    server: Server,
    builder: Builder,
    configuration: RelayConfiguration,
    vitals: Arc<RelayVitals>,
    client: Option<Client>,
    /// This hub is the one that relays.
    is_relaying: bool,
    /// Events that were refused got their new chance of this start.
    has_forgiven: bool,
    /// The event that was tried last: one that always fails must not stand before all others.
    after: Option<Key>,
}

/// How an event got there.
enum Pushed {
    Added(Draft),
    Edited(Draft),
    Refused(String),
}

impl Relay {
    /// One that does nothing yet. It brings the tables up to date where it is to; `detections` are the rules of nodes beside those of the program.
    ///
    /// # Errors
    ///
    /// A configuration that makes no sense, a key or rules that cannot be read.
    pub(crate) fn new(
        configuration: &RelayConfiguration,
        (database, migrate): (Database, bool),
        detections: &[PathBuf],
        vitals: Arc<RelayVitals>,
    ) -> Result<Self, Failure> {
        let options = configuration.options();
        let wrong = || Failure::configuration("hub.misp.organisation_uuid is no UUID");
        Ok(Self {
            database,
            migrate,
            server: Server::new(configuration)?,
            builder: Builder::new(options.ok_or_else(wrong)?, Markings::load(detections)?)?,
            configuration: configuration.clone(),
            vitals,
            client: None,
            is_relaying: false,
            has_forgiven: false,
            after: None,
        })
    }

    /// Relays until it is asked to stop: at any moment, since what is not settled is told again.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.work() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn work(&mut self) {
        let mut backoff = Backoff::default();
        loop {
            let Err(Setback { who, trouble, wait }) = self.round().await else {
                backoff.reset();
                sleep(ROUND_EVERY).await;
                continue;
            };
            if who == QUEUE {
                self.client = None;
            }
            self.vitals.is_connected.store(false, Ordering::Relaxed);
            add(&self.vitals.troubles, 1);
            let next = wait.unwrap_or_default().max(backoff.next());
            eprintln!("mop: {who}: {trouble}; next try in {} ms", next.as_millis());
            sleep(next).await;
        }
    }

    /// Tells all events whose findings wait.
    pub(super) async fn round(&mut self) -> Result<(), Setback> {
        if !self.open().await? {
            return Ok(());
        }
        // After a trouble, first those behind the event that had it, and then from the beginning.
        let passes = if self.after.is_some() { 2 } else { 1 };
        for _ in 0..passes {
            loop {
                let keys = queue::keys(self.client()?, self.after.as_ref()).await?;
                if keys.is_empty() {
                    break;
                }
                for key in keys {
                    self.after = Some(key.clone());
                    self.tell(&key).await?;
                }
            }
            self.after = None;
        }
        let waiting = queue::length(self.client()?).await?;
        self.vitals.waiting.store(waiting, Ordering::Relaxed);
        Ok(())
    }

    /// Whether there is a connection, and no other hub relays.
    async fn open(&mut self) -> Result<bool, Setback> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            (self.client, self.is_relaying) = (None, false);
            let mut client = self.database.connect().await.map_err(of_queue)?;
            // The store does it as well, and perhaps later.
            if self.migrate {
                migrations::migrate(&self.database, &mut client).await.map_err(of_queue)?;
            } else {
                migrations::check(&client).await.map_err(of_queue)?;
            }
            self.client = Some(client);
        }
        if !self.is_relaying {
            self.is_relaying = queue::lock(self.client()?).await?;
        }
        if self.is_relaying && !self.has_forgiven {
            queue::forgive(self.client()?).await?;
            self.has_forgiven = true;
        }
        Ok(self.is_relaying)
    }

    fn client(&self) -> Result<&Client, Setback> {
        let lost = || of_queue(Trouble::passing("lost", "there is no connection"));
        self.client.as_ref().ok_or_else(lost)
    }

    /// Tells an event with findings that wait.
    async fn tell(&self, key: &Key) -> Result<(), Setback> {
        let client = self.client()?;
        let waiting = queue::waiting(client, key).await?;
        let kept = queue::content(client, key).await?;
        let ids: Vec<&str> = waiting.iter().map(|waiting| &*waiting.id).collect();
        let pushed = self.push(key, kept.as_deref(), &waiting).await?;
        let (draft, changed) = match pushed {
            None => {
                add(&self.vitals.unspeakable, ids.len());
                return Ok(queue::remove(client, key, &ids).await?);
            }
            Some(Pushed::Refused(reason)) => {
                self.refuse("event", &reason);
                return Ok(queue::refuse(client, key, &reason).await?);
            }
            Some(Pushed::Added(draft)) => (draft, &self.vitals.events_added),
            Some(Pushed::Edited(draft)) => (draft, &self.vitals.events_edited),
        };
        self.vitals.is_connected.store(true, Ordering::Relaxed);
        self.follow(&draft).await?;
        queue::settle(client, key, &ids, &draft.content).await?;
        add(changed, 1);
        add(&self.vitals.told, draft.taken);
        add(&self.vitals.unspeakable, draft.unspeakable);
        Ok(())
    }

    /// Adds or edits; `None` when no finding can be in an event.
    async fn push(
        &self,
        key: &Key,
        kept: Option<&str>,
        waiting: &[Waiting],
    ) -> Result<Option<Pushed>, Setback> {
        let bodies: Vec<_> = waiting.iter().map(|waiting| waiting.body.as_deref()).collect();
        let mut now = Timestamp::now().as_second();
        let latest = now.saturating_add(MAX_AHEAD);
        let mut is_there = kept.is_some();
        for _ in 0..MAX_REQUESTS {
            let draft = self.builder.build(key, kept, &bodies, now);
            let Some(draft) = draft else { return Ok(None) };
            let reply = if is_there {
                self.server.edit(draft.uuid, &draft.body).await
            } else {
                self.server.add(&draft.body).await
            };
            match self.about_the_event(reply).await? {
                Reply::Taken if is_there => return Ok(Some(Pushed::Edited(draft))),
                Reply::Taken => return Ok(Some(Pushed::Added(draft))),
                Reply::Refused(reason) => return Ok(Some(Pushed::Refused(reason))),
                Reply::Exists => is_there = true,
                // MISP may say this in another language than English, too.
                Reply::Missing => is_there = !is_there,
                // Somebody edited it, or it was told before a crash: the new one has to be later.
                Reply::Stale => {
                    let theirs = self.server.timestamp(draft.uuid).await?.unwrap_or(now);
                    now = theirs.max(now).saturating_add(1);
                    if now > latest {
                        let reason = "the event there is of tomorrow: compare the clocks";
                        return Ok(Some(Pushed::Refused(reason.to_owned())));
                    }
                }
            }
        }
        Err(misdirected(404))
    }

    /// A server that knows the key and still does not let it do something means this event, as one
    /// that somebody else has: to try again for ever is no use.
    async fn about_the_event(&self, reply: Result<Reply, Setback>) -> Result<Reply, Setback> {
        match reply {
            Err(Setback { trouble, .. })
                if trouble.reason == UNAUTHORISED && self.server.is_known().await? =>
            {
                Ok(Reply::Refused(trouble.detail))
            }
            reply => reply,
        }
    }

    /// What follows an event that was taken. What the key may not do is said and counted: it must not
    /// keep events back.
    async fn follow(&self, draft: &Draft) -> Result<(), Setback> {
        if self.configuration.publish {
            let published = self.server.publish(draft.uuid).await;
            if self.is_done("publish", published)? {
                add(&self.vitals.events_published, 1);
            }
        }
        if self.configuration.sightings && !draft.sightings.is_empty() {
            let sighted = self.server.sight(draft.uuid, &draft.sightings).await;
            if self.is_done("sightings", sighted)? {
                add(&self.vitals.sightings, draft.sightings.len());
            }
        }
        Ok(())
    }

    fn is_done(&self, step: &'static str, reply: Result<Reply, Setback>) -> Result<bool, Setback> {
        let reason = match reply {
            Ok(Reply::Taken) => return Ok(true),
            Ok(Reply::Refused(reason)) => reason,
            Ok(Reply::Exists | Reply::Missing | Reply::Stale) => "it is not possible".to_owned(),
            Err(Setback { trouble, .. }) if trouble.is_lasting => trouble.to_string(),
            Err(setback) => return Err(setback),
        };
        self.refuse(step, &reason);
        Ok(false)
    }

    fn refuse(&self, step: &'static str, reason: &str) {
        self.vitals.refuse(step);
        eprintln!("mop: MISP will not take it ({step}): {reason}");
    }
}

impl From<tokio_postgres::Error> for Setback {
    fn from(error: tokio_postgres::Error) -> Self {
        of_queue(trouble(&error))
    }
}

fn of_queue(trouble: Trouble) -> Setback {
    Setback { who: QUEUE, ..Setback::from(trouble) }
}

/// Who is in trouble when it is not the server.
const QUEUE: &str = "the queue for MISP";

/// A burst of findings is one change of an event.
const ROUND_EVERY: Duration = Duration::from_secs(5);
/// Edit, add, and twice more for an event that is not older; a further one finds nothing new.
const MAX_REQUESTS: usize = 4;
/// Clocks may be apart by some minutes; a day is a mistake, and would keep the event from being edited.
const MAX_AHEAD: i64 = 86_400;
