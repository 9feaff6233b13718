//! Which attributes the official server wants hashed, and which as they are.
//!
//! The server says it under `…/anonymization-fields?schema=Consent`, the only schema that its client
//! asks for. The answer is kept for [`FieldPolicies::max_age`], and the last good one lies in a
//! file, so that a restart while the server is down goes on with it. Without any answer no message
//! can be made: guessing which values may leave is not an option.

use std::{
    collections::HashSet,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::java;
use crate::sinks::{
    Trouble,
    http::{Answer, Client},
};

/// One answer of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FieldPolicy {
    /// As the server wrote them.
    pub(crate) lists: Lists,
    anonymized: HashSet<String>,
    exposed: HashSet<String>,
}

/// What the server answers.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub(crate) struct Lists {
    #[serde(default)]
    pub(crate) anonymized: Vec<String>,
    #[serde(default)]
    pub(crate) exposed: Vec<String>,
    /// When the server made the lists, in its own form.
    #[serde(default)]
    pub(crate) timestamp: Option<serde_json::Value>,
}

/// The answer in use.
pub(crate) struct FieldPolicies {
    current: RwLock<Option<Arc<FieldPolicy>>>,
    refreshed: RwLock<Option<Instant>>,
    /// Where the last good answer lies.
    file: Option<PathBuf>,
    max_age: Duration,
}

impl FieldPolicy {
    /// Lists by their names.
    #[cfg(test)]
    pub(crate) fn of(anonymized: &[&str], exposed: &[&str]) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (anonymized, exposed) = (names(anonymized), names(exposed));
        Self::from_lists(Lists { anonymized, exposed, timestamp: None })
    }

    /// Reads an answer. Both lists empty are no answer, as the reference has it.
    fn parse(body: &[u8]) -> Result<Self, &'static str> {
        if body.len() > MAX_ANSWER_BYTES {
            return Err("it is larger than 1 MiB");
        }
        let lists: Lists = serde_json::from_slice::<Nullable>(body)
            .map_err(|_quotes_the_body| "it does not have the form of anonymization fields")?
            .into();
        let names = || lists.anonymized.iter().chain(&lists.exposed);
        if names().count() == 0 {
            return Err("both of its lists are empty");
        }
        if names().count() > MAX_NAMES || names().any(|name| name.len() > MAX_NAME_BYTES) {
            return Err("it has more than 8,192 names, or one of more than 256 bytes");
        }
        Ok(Self::from_lists(lists))
    }

    fn from_lists(lists: Lists) -> Self {
        let set = |names: &[String]| {
            names.iter().map(|name| java::trimmed(name).to_lowercase()).collect::<HashSet<_>>()
        };
        let (anonymized, exposed) = (set(&lists.anonymized), set(&lists.exposed));
        Self { lists, anonymized, exposed }
    }

    /// Whether values of this name are hashed.
    pub(crate) fn anonymizes(&self, name: &str) -> bool {
        has(&self.anonymized, name)
    }

    /// Whether values of this name stay, unless they are hashed.
    pub(crate) fn exposes(&self, name: &str) -> bool {
        has(&self.exposed, name)
    }
}

impl FieldPolicies {
    /// Begins with the answer that lies in the file, if one does.
    pub(crate) fn new(file: Option<PathBuf>, max_age: Duration) -> Arc<Self> {
        let kept = file.as_deref().and_then(read).map(Arc::new);
        Arc::new(Self { current: RwLock::new(kept), refreshed: RwLock::default(), file, max_age })
    }

    /// The answer in use; `None` when there never was one.
    pub(crate) fn current(&self) -> Option<Arc<FieldPolicy>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When the server is to be asked again; at once while it was not asked.
    pub(crate) fn due_in(&self) -> Duration {
        let refreshed = *self.refreshed.read().unwrap_or_else(PoisonError::into_inner);
        refreshed.map_or(Duration::ZERO, |at| self.max_age.saturating_sub(at.elapsed()))
    }

    /// Asks the server, and keeps a good answer.
    pub(crate) async fn refresh(&self, client: &Client, url: &str) -> Result<(), Trouble> {
        let answer = client.send(client.get(url)).await?;
        let Answer { status, ref body, .. } = answer;
        if status != 200 {
            return Err(answer.as_trouble("the anonymization fields"));
        }
        let policy = FieldPolicy::parse(body).map_err(|problem| {
            Trouble::passing("fields", format!("the answer with the fields is no use: {problem}"))
        })?;
        self.keep(policy);
        Ok(())
    }

    /// Asks whenever it is due, for as long as it is polled. Says what is wrong through `report`.
    pub(crate) async fn keep_fresh(
        self: Arc<Self>,
        client: Client,
        url: String,
        mut report: impl FnMut(Option<Trouble>) + Send,
    ) {
        let mut failures: u32 = 0;
        loop {
            tokio::time::sleep(self.due_in()).await;
            match self.refresh(&client, &url).await {
                Ok(()) => {
                    failures = 0;
                    report(None);
                }
                Err(trouble) => {
                    report(Some(trouble));
                    let wait = RETRY_FIRST.saturating_mul(1 << failures.min(MAX_DOUBLINGS));
                    failures = failures.saturating_add(1);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn keep(&self, policy: FieldPolicy) {
        let policy = Arc::new(policy);
        *self.refreshed.write().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let changed = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            let changed = current.as_ref() != Some(&policy);
            *current = Some(Arc::clone(&policy));
            changed
        };
        // That it cannot be kept shows at the next start only, and harms nothing before.
        if let (Some(file), true) = (&self.file, changed)
            && let Err(error) = write(file, &policy.lists)
        {
            eprintln!("mop: cannot keep the anonymization fields in {}: {error}", file.display());
        }
    }
}

/// `null` lists are empty ones.
#[derive(Deserialize)]
struct Nullable {
    #[serde(default)]
    anonymized: Option<Vec<Option<String>>>,
    #[serde(default)]
    exposed: Option<Vec<Option<String>>>,
    #[serde(default)]
    timestamp: Option<serde_json::Value>,
}

impl From<Nullable> for Lists {
    fn from(Nullable { anonymized, exposed, timestamp }: Nullable) -> Self {
        let names = |names: Option<Vec<Option<String>>>| {
            names.unwrap_or_default().into_iter().flatten().collect()
        };
        Self { anonymized: names(anonymized), exposed: names(exposed), timestamp }
    }
}

fn has(names: &HashSet<String>, name: &str) -> bool {
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        names.contains(name)
    } else {
        names.contains(&name.to_lowercase())
    }
}

fn read(file: &Path) -> Option<FieldPolicy> {
    let length = fs::metadata(file).ok()?.len();
    if length > MAX_ANSWER_BYTES as u64 {
        return None;
    }
    FieldPolicy::parse(&fs::read(file).ok()?).ok()
}

/// Beside it and then in its place: nobody reads half of it.
fn write(file: &Path, lists: &Lists) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = file.with_extension("new");
    let mut out = fs::File::create(&beside)?;
    out.write_all(&serde_json::to_vec(lists)?)?;
    out.sync_all()?;
    fs::rename(&beside, file)
}

/// A few hundred names are some 10 KB.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// All documents of the ecosystem together have 1,200 names.
const MAX_NAMES: usize = 8192;
/// The longest name of the ecosystem has 60.
const MAX_NAME_BYTES: usize = 256;
/// The first pause after the server gave no answer.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Up to about a minute.
const MAX_DOUBLINGS: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_the_reference_reads_them() {
        let policy = FieldPolicy::parse(
            br#"{"anonymized":["cnpjNumber"," CPF\t",null],"exposed":null,"timestamp":"t","more":1}"#,
        )
        .expect("well-formed");
        assert!(policy.anonymizes("CNPJNUMBER") && policy.anonymizes("cpf"));
        assert!(!policy.anonymizes("cp") && !policy.exposes("cpf"));
        assert_eq!(policy.lists.anonymized, ["cnpjNumber", " CPF\t"]);
    }

    #[test]
    fn what_is_no_answer_is_refused_without_quoting_it() {
        let long = format!(r#"{{"exposed":["{}"]}}"#, "x".repeat(MAX_NAME_BYTES + 1));
        let many = format!(r#"{{"exposed":[{}"x"]}}"#, r#""x","#.repeat(MAX_NAMES));
        for bad in [
            "secret",
            "[]",
            r#"{"anonymized":"secret"}"#,
            "{}",
            r#"{"anonymized":[],"exposed":[]}"#,
            &long,
            &many,
        ] {
            let error = FieldPolicy::parse(bad.as_bytes()).expect_err(bad);
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn the_last_good_answer_outlives_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("state/fields.json");
        let hour = Duration::from_secs(3600);
        let policies = FieldPolicies::new(Some(file.clone()), hour);
        assert!(policies.current().is_none());
        assert_eq!(policies.due_in(), Duration::ZERO);
        policies.keep(FieldPolicy::of(&["cpf"], &["brand"]));
        assert!(policies.due_in() > Duration::from_secs(3500));
        let again = FieldPolicies::new(Some(file.clone()), hour);
        assert!(again.current().expect("kept").anonymizes("cpf"));
        // It is in use, and the server is asked all the same.
        assert_eq!(again.due_in(), Duration::ZERO);
        fs::write(&file, "{").expect("written");
        assert!(FieldPolicies::new(Some(file), hour).current().is_none());
    }
}
