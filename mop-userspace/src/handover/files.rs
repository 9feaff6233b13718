//! The files by which two observers agree.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::Tenure;
use crate::{clock, failure::Failure};

/// What an observer is to the others of its outbox.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The only one.
    First(Post),
    /// One beside another, which it may follow.
    Second(Waiting),
}

/// The outbox is this observer's.
#[derive(Debug)]
pub(crate) struct Post {
    folder: PathBuf,
    _lock: File,
    /// Locked by somebody who waits.
    successor: File,
}

/// Another observer has the outbox.
#[derive(Debug)]
pub(crate) struct Waiting {
    folder: PathBuf,
    lock: File,
    successor: File,
}

impl Claim {
    /// Claims the outbox in a folder.
    ///
    /// # Errors
    ///
    /// When the files cannot be used.
    pub(crate) fn of(outbox: &Path) -> Result<Self, Failure> {
        let folder = outbox.join(FOLDER);
        Self::at(&folder).map_err(|error| unusable(&folder, &error))
    }

    fn at(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = open(&folder.join(CURRENT))?;
        let successor = open(&folder.join(NEXT))?;
        let folder = folder.to_owned();
        if is_locked(&lock)? {
            return Post::at(folder, lock, successor).map(Self::First);
        }
        Ok(Self::Second(Waiting { folder, lock, successor }))
    }
}

impl Post {
    fn at(folder: PathBuf, lock: File, successor: File) -> io::Result<Self> {
        remove(&folder.join(HANDED_OVER))?;
        Ok(Self { folder, _lock: lock, successor })
    }

    /// Whether somebody waits for it.
    pub(crate) fn is_awaited(&self) -> bool {
        match self.successor.try_lock_shared() {
            Ok(()) => {
                let _ = self.successor.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }

    /// Leaves the calls that begin from now on to whoever waits.
    ///
    /// # Errors
    ///
    /// When that cannot be written: nothing is handed over then.
    pub(crate) fn hand_over(&self, tenure: &Tenure) -> io::Result<()> {
        let ktime_ns = clock::monotonic_ns();
        fs::write(self.folder.join(HANDED_OVER), format!("{ktime_ns}\n"))?;
        tenure.end_at(ktime_ns);
        Ok(())
    }

    /// Nobody waits any more.
    pub(crate) fn go_on(&self, tenure: &Tenure) {
        tenure.go_on();
        // Where it stays, it names a time before the next one was there, which changes nothing.
        let _ = remove(&self.folder.join(HANDED_OVER));
    }
}

impl Waiting {
    /// Asks the other one to hand over, so that everything must be observed by now, and waits until it
    /// has ended. What is this observer's own then; `None` when `is_over` said so first.
    ///
    /// # Errors
    ///
    /// When another one waits already, or the files cannot be used.
    pub(crate) fn wait(
        self,
        is_over: impl Fn() -> bool,
    ) -> Result<Option<(Post, Tenure)>, Failure> {
        let folder = self.folder.clone();
        self.wait_in_turn(is_over).map_err(|error| unusable(&folder, &error))
    }

    fn wait_in_turn(self, is_over: impl Fn() -> bool) -> io::Result<Option<(Post, Tenure)>> {
        let Self { folder, lock, successor } = self;
        if !is_locked(&successor)? {
            return Err(io::Error::other(
                "another observer waits to take over already; wait until it has, or end it",
            ));
        }
        while !is_locked(&lock)? {
            if is_over() {
                return Ok(None);
            }
            thread::sleep(LOOK_EVERY);
        }
        let said = fs::read_to_string(folder.join(HANDED_OVER)).unwrap_or_default();
        // One that was killed has reported what it had read; what it had not is the next one's.
        let tenure = said.trim().parse().map_or_else(
            |_not_handed_over| Tenure::default(),
            |from_ns| Tenure::after(from_ns, clock::monotonic_ns()),
        );
        successor.unlock()?;
        Ok(Some((Post::at(folder, lock, successor)?, tenure)))
    }
}

fn unusable(folder: &Path, error: &io::Error) -> Failure {
    Failure::runtime(format!("cannot use {}: {error}", folder.display()))
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path)
}

/// Locks it unless somebody else has; true when it is this process's now.
fn is_locked(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

const FOLDER: &str = "observers";
const CURRENT: &str = "current";
const NEXT: &str = "next";
const HANDED_OVER: &str = "handed-over";

/// The gap that it makes is bridged by the queues.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    fn first(folder: &Path) -> Post {
        match Claim::of(folder).expect("usable") {
            Claim::First(post) => post,
            other => panic!("{other:?}"),
        }
    }

    fn second(folder: &Path) -> Waiting {
        match Claim::of(folder).expect("usable") {
            Claim::Second(waiting) => waiting,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_follows_another() {
        let folder = tempfile::tempdir().expect("a folder");
        let post = first(folder.path());
        assert!(!post.is_awaited());
        let (waiting, another) = (second(folder.path()), second(folder.path()));
        assert!(!post.is_awaited(), "it does not observe yet");
        let waiting = thread::spawn(move || waiting.wait(|| false).expect("usable"));
        while !post.is_awaited() {
            thread::sleep(LOOK_EVERY);
        }
        assert!(another.wait(|| false).is_err(), "one waits already");
        let tenure = Tenure::default();
        post.hand_over(&tenure).expect("written");
        drop(post);
        let (post, _tenure) = waiting.join().expect("no panic").expect("its turn");
        assert!(!post.is_awaited());
        assert!(!folder.path().join(FOLDER).join(HANDED_OVER).exists());
    }

    #[test]
    fn one_that_waits_and_goes_leaves_no_trace() {
        let folder = tempfile::tempdir().expect("a folder");
        let post = first(folder.path());
        let waiting = second(folder.path());
        let tenure = Tenure::default();
        post.hand_over(&tenure).expect("written");
        assert!(waiting.wait(|| post.is_awaited()).expect("usable").is_none());
        assert!(!post.is_awaited());
        post.go_on(&tenure);
        assert!(!folder.path().join(FOLDER).join(HANDED_OVER).exists());
    }
}
