//! What the keeper of the directory does with it.

use std::{collections::HashSet, time::Duration};

use super::{Arc, Directory, Held, Instant, Ordering, PodFacts, PoisonError, State, Workload};

impl Directory {
    /// Takes in what is told of a pod. False when there is no room for it.
    pub(in crate::workloads) fn put(&self, facts: PodFacts) -> bool {
        self.change(|state| state.put(facts))
    }

    /// A pod is gone; its names stay known for a while.
    pub(in crate::workloads) fn remove(&self, uid: &str, now: Instant) {
        self.change(|state| {
            if let Some(held) = state.pods.get_mut(uid) {
                held.gone_at.get_or_insert(now);
            }
        });
    }

    /// Takes in all pods that there are: others are gone. Gives how many had no room.
    pub(in crate::workloads) fn replace(&self, all: Vec<PodFacts>, now: Instant) -> u64 {
        self.change(|state| {
            let there: HashSet<Arc<str>> =
                all.iter().map(|facts| Arc::clone(&facts.names.uid)).collect();
            for (uid, held) in &mut state.pods {
                if !there.contains(uid) {
                    held.gone_at.get_or_insert(now);
                }
            }
            all.into_iter().map(|facts| u64::from(!state.put(facts))).sum()
        })
    }

    /// Forgets pods that have been gone for longer.
    pub(in crate::workloads) fn forget(&self, now: Instant, kept: Duration) {
        let is_over = |held: &Held| {
            held.gone_at.is_some_and(|gone| now.saturating_duration_since(gone) >= kept)
        };
        let over: Vec<Arc<str>> = {
            let state = self.read();
            let pods = state.pods.iter().filter(|(_, held)| is_over(held));
            pods.map(|(uid, _)| Arc::clone(uid)).collect()
        };
        if !over.is_empty() {
            self.change(|state| over.iter().for_each(|uid| state.drop_pod(uid)));
        }
    }

    fn change<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = work(&mut state);
        // Before the lock is given back: whoever sees the number sees the change.
        self.changes.fetch_add(1, Ordering::Release);
        outcome
    }
}

impl State {
    fn put(&mut self, facts: PodFacts) -> bool {
        let PodFacts { names, alias, containers } = facts;
        let uid = Arc::clone(&names.uid);
        if !self.pods.contains_key(&uid) && self.pods.len() >= MAX_PODS && !self.make_room() {
            return false;
        }
        let names = Arc::new(names);
        let workload = |container| Arc::new(Workload { names: Arc::clone(&names), container });
        // Containers that ended have no status any more, and their last calls come late.
        let before = self.pods.remove(&uid).map(|held| {
            self.drop_alias(held.alias, &uid);
            held.containers
        });
        let before = before.unwrap_or_default();
        let room = MAX_CONTAINERS.saturating_sub(containers.len());
        let surplus = before.len().saturating_sub(room);
        let mut ids: Vec<Box<str>> = Vec::new();
        for (number, id) in before.into_iter().enumerate() {
            let Some(one) = self.containers.remove(&id) else { continue };
            if number >= surplus {
                self.containers.insert(id.clone(), workload(one.container.clone()));
                ids.push(id);
            }
        }
        for (id, name) in containers.into_iter().take(MAX_CONTAINERS) {
            self.containers.insert(id.clone(), workload(Some(name)));
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if let Some(alias) = &alias {
            self.aliases.insert(alias.clone(), Arc::clone(&uid));
        }
        let held = Held { pod: workload(None), alias, containers: ids, gone_at: None };
        self.pods.insert(uid, held);
        true
    }

    /// Forgets the pod that has been gone for longest. False when none is gone.
    fn make_room(&mut self) -> bool {
        let gone = self.pods.iter().filter_map(|(uid, held)| Some((held.gone_at?, uid)));
        let Some(uid) = gone.min().map(|(_, uid)| Arc::clone(uid)) else { return false };
        self.drop_pod(&uid);
        true
    }

    fn drop_pod(&mut self, uid: &str) {
        let Some(Held { alias, containers, .. }) = self.pods.remove(uid) else { return };
        self.drop_alias(alias, uid);
        for id in containers {
            if self.containers.get(&id).is_some_and(|one| *one.names.uid == *uid) {
                self.containers.remove(&id);
            }
        }
    }

    /// Another pod may have taken over what this one was known by.
    fn drop_alias(&mut self, alias: Option<Box<str>>, uid: &str) {
        if let Some(alias) = alias
            && self.aliases.get(&alias).is_some_and(|holder| **holder == *uid)
        {
            self.aliases.remove(&alias);
        }
    }
}

/// The kubelet's default is 110, and the most that anybody runs some 500; those that are gone come
/// on top.
const MAX_PODS: usize = 4_096;

/// Of a pod, those that ended included: a pod has a few, and one that starts again and again leaves
/// one each time.
const MAX_CONTAINERS: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mop_probe::process::Placement;

    use super::{super::Names, *};

    fn pod(uid: &str, containers: &[(&str, &str)]) -> PodFacts {
        PodFacts {
            names: Names {
                uid: Arc::from(uid),
                namespace: "shop".into(),
                pod: format!("pod-{uid}").into(),
                node: None,
                owner: None,
                labels: Some(BTreeMap::new()),
                shown: BTreeMap::new(),
            },
            alias: None,
            containers: containers
                .iter()
                .map(|(id, name)| (Box::from(*id), Box::from(*name)))
                .collect(),
        }
    }

    fn find(directory: &Directory, pod: Option<&str>, container: Option<&str>) -> Option<String> {
        let placement =
            Placement { container: container.map(str::to_owned), pod: pod.map(str::to_owned) };
        let found = directory.find(&placement)?;
        Some(format!("{}/{}", found.names.pod, found.container.as_deref().unwrap_or("?")))
    }

    #[test]
    fn a_process_is_found_by_its_container_or_by_its_pod() {
        let directory = Directory::default();
        assert_eq!(find(&directory, Some("1"), Some("a")), None);
        assert!(directory.put(pod("1", &[("a", "api")])));
        assert_eq!(find(&directory, Some("1"), Some("a")).as_deref(), Some("pod-1/api"));
        assert_eq!(find(&directory, None, Some("a")).as_deref(), Some("pod-1/api"));
        assert_eq!(find(&directory, Some("1"), Some("new")).as_deref(), Some("pod-1/?"));
        assert_eq!(find(&directory, Some("2"), None), None);
        assert!(directory.put(pod("2", &[])));
        assert_eq!(find(&directory, Some("2"), Some("a")), None, "a contradiction");
    }

    #[test]
    fn a_pod_of_a_file_is_found_by_the_identifier_that_the_kubelet_gave_it() {
        let directory = Directory::default();
        directory.put(PodFacts { alias: Some("f".into()), ..pod("1", &[]) });
        assert_eq!(find(&directory, Some("f"), None).as_deref(), Some("pod-1/?"));
        // The file was replaced: the same identifier on the node is another pod of the cluster.
        directory.put(PodFacts { alias: Some("f".into()), ..pod("2", &[]) });
        let now = Instant::now();
        directory.remove("1", now);
        directory.forget(now, Duration::ZERO);
        assert_eq!(find(&directory, Some("f"), None).as_deref(), Some("pod-2/?"));
    }

    #[test]
    fn what_is_gone_stays_known_for_a_while_and_may_come_back() {
        let (directory, start, kept) =
            (Directory::default(), Instant::now(), Duration::from_secs(300));
        directory.put(pod("1", &[("a", "api")]));
        directory.put(pod("2", &[("b", "web")]));
        directory.remove("1", start);
        directory.replace(vec![pod("3", &[])], start + kept / 2);
        assert_eq!(directory.counts(), (1, 2));
        directory.forget(start + kept - Duration::from_secs(1), kept);
        assert_eq!(find(&directory, Some("1"), Some("a")).as_deref(), Some("pod-1/api"));
        directory.forget(start + kept, kept);
        assert_eq!(find(&directory, Some("1"), Some("a")), None);
        assert_eq!(directory.counts(), (1, 1));
        directory.put(pod("2", &[]));
        directory.forget(start + 2 * kept, kept);
        assert_eq!(find(&directory, Some("2"), Some("b")).as_deref(), Some("pod-2/web"));
    }

    #[test]
    fn containers_that_ended_stay_known_within_bounds() {
        let directory = Directory::default();
        for number in 0..3 * MAX_CONTAINERS {
            directory.put(pod("1", &[(&number.to_string(), "api")]));
        }
        let last = (3 * MAX_CONTAINERS - 1).to_string();
        assert_eq!(find(&directory, None, Some(&last)).as_deref(), Some("pod-1/api"));
        let state = directory.read();
        assert!(state.containers.len() <= MAX_CONTAINERS, "{}", state.containers.len());
        assert_eq!(state.containers.len(), state.pods["1"].containers.len());
    }

    #[test]
    fn there_are_never_more_pods_than_the_bound() {
        let directory = Directory::default();
        let now = Instant::now();
        let all = (0..MAX_PODS).map(|number| pod(&number.to_string(), &[])).collect();
        assert_eq!(directory.replace(all, now), 0);
        assert!(!directory.put(pod("one more", &[])));
        directory.remove("7", now);
        assert!(directory.put(pod("one more", &[])), "the one that is gone makes room");
        assert_eq!(directory.counts(), (MAX_PODS as u64, 0));
        assert_eq!(find(&directory, Some("7"), None), None);
    }

    #[test]
    fn every_change_is_seen_by_its_number() {
        let directory = Directory::default();
        let before = directory.changes();
        directory.put(pod("1", &[]));
        assert!(directory.changes() > before);
        let before = directory.changes();
        directory.forget(Instant::now(), Duration::ZERO);
        assert_eq!(directory.changes(), before, "nothing was to be forgotten");
    }
}
