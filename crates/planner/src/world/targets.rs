//! The index of targets: interned, found by identity and by name.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::Hasher;
#[expect(
    deprecated,
    reason = "the one keyed hash in core; std's DefaultHasher is not there and a further crate is not worth it"
)]
use core::hash::SipHasher;
use core::net::IpAddr;

use hashbrown::HashTable;

use crate::id::TargetId;
use crate::profile_type::TypeSet;
use crate::target::{ContainerFacts, Phase, Port, TargetFacts};
use crate::time::Wall;
use crate::world::pool::Pool;
use crate::world::reading::Reading;

/// Where a target lies in the index: 4 bytes in every set that names it. Used again after its target is gone.
pub(crate) type Slot = u32;

/// A target as it is kept: what replicas share is shared.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) id: TargetId,
    pub(crate) name: Box<str>,
    pub(crate) shape: Arc<Shape>,
    pub(crate) labels: Arc<[Arc<Label>]>,
    pub(crate) node: Arc<str>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) started_at: Option<Wall>,
    pub(crate) phase: Phase,
    pub(crate) terminating: bool,
    /// Configs that select it, by their place, ascending.
    pub(crate) selected_by: Arc<[u32]>,
    /// Its last usage.
    pub(crate) reading: Option<Reading>,
    /// Types of which it was said that they are empty.
    pub(crate) empty_told: TypeSet,
    /// Counts up with every new target: the newer of two of one name is the one that usage is of.
    arrival: u64,
    /// The relist in which it was last seen.
    seen_in: u32,
}

/// What all replicas of a workload have in common.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pub(crate) namespace: Arc<str>,
    pub(crate) service: Arc<str>,
    pub(crate) containers: Arc<[ContainerFacts]>,
    pub(crate) container: Option<Box<str>>,
    pub(crate) port: Port,
    pub(crate) host_network: bool,
}

/// A label, one copy for all targets that have it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    name: Arc<str>,
    /// None stands for the target's own name: every pod of a StatefulSet has one label with it, and it would be the
    /// one label that no two pods share.
    value: Option<Box<str>>,
}

/// All targets that opted in.
#[derive(Clone, Debug)]
pub(crate) struct Targets {
    /// Chunks of fixed size, so that growing never copies the index and never holds two of it.
    chunks: Vec<Vec<Option<Target>>>,
    free: Vec<Slot>,
    by_id: BTreeMap<TargetId, Slot>,
    /// By namespace and name; only ever asked for one name, never walked: its order means nothing.
    by_name: HashTable<Slot>,
    hash_keys: (u64, u64),
    strings: Pool<str>,
    shared_labels: Pool<Label>,
    label_sets: Pool<[Arc<Label>]>,
    container_sets: Pool<[ContainerFacts]>,
    shapes: Pool<Shape>,
    selections: Pool<[u32]>,
    unselected: Arc<[u32]>,
    arrivals: u64,
    relist: u32,
    relisting: bool,
    listed: bool,
}

/// What an applied target came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// As it was.
    Same,
    /// Not known before.
    New(Slot),
    /// Known, but something about it is another. Whether its labels are.
    Changed { slot: Slot, labels: bool },
}

/// Targets per chunk: 200 KiB, small against the index and large against a chunk's own cost.
const CHUNK: usize = 1_024;

impl Targets {
    pub(crate) fn new(hash_seed: u64) -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
            by_id: BTreeMap::new(),
            by_name: HashTable::new(),
            hash_keys: (hash_seed, hash_seed.rotate_left(32) ^ 0x9e37_79b9_7f4a_7c15),
            strings: Pool::new(),
            shared_labels: Pool::new(),
            label_sets: Pool::new(),
            container_sets: Pool::new(),
            shapes: Pool::new(),
            selections: Pool::new(),
            unselected: Arc::default(),
            arrivals: 0,
            relist: 0,
            relisting: false,
            listed: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Target> {
        at(&self.chunks, slot)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Target> {
        let slot = slot as usize;
        self.chunks.get_mut(slot / CHUNK)?.get_mut(slot % CHUNK)?.as_mut()
    }

    pub(crate) fn slot(&self, id: TargetId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    /// Every target, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Target)> {
        (0u32..)
            .zip(self.chunks.iter().flatten())
            .filter_map(|(slot, one)| one.as_ref().map(|target| (slot, target)))
    }

    /// The target that has a name now: of several, one that is not being deleted, and of those the newest.
    pub(crate) fn named(&self, namespace: &str, name: &str) -> Option<Slot> {
        self.by_name
            .iter_hash(hash_of(self.hash_keys, namespace, name))
            .filter_map(|slot| self.get(*slot).map(|target| (*slot, target)))
            .filter(|(_, target)| *target.name == *name && *target.shape.namespace == *namespace)
            .max_by_key(|(_, target)| (!target.terminating, target.arrival))
            .map(|(slot, _)| slot)
    }

    /// Takes in an opted-in target.
    pub(crate) fn apply(&mut self, facts: &TargetFacts) -> Applied {
        let (shape, labels) = (self.shape(facts), self.labels(facts));
        let node = self.strings.share(&facts.node, || Arc::from(&*facts.node));
        let relist = self.relist;
        if let Some(slot) = self.slot(facts.id)
            && let Some(target) = self.get_mut(slot)
        {
            target.seen_in = relist;
            let same_labels = target.labels == labels && target.shape.namespace == shape.namespace;
            let same = same_labels
                && target.shape == shape
                && target.node == node
                && target.address == facts.address
                && target.started_at == facts.started_at
                && target.phase == facts.phase
                && target.terminating == facts.terminating;
            if same {
                return Applied::Same;
            }
            target.shape = shape;
            target.labels = labels;
            target.node = node;
            target.address = facts.address;
            target.started_at = facts.started_at;
            target.phase = facts.phase;
            target.terminating = facts.terminating;
            return Applied::Changed {
                slot,
                labels: !same_labels,
            };
        }
        self.arrivals += 1;
        let target = Target {
            id: facts.id,
            name: facts.name.clone(),
            shape,
            labels,
            node,
            address: facts.address,
            started_at: facts.started_at,
            phase: facts.phase,
            terminating: facts.terminating,
            selected_by: Arc::clone(&self.unselected),
            reading: None,
            empty_told: TypeSet::EMPTY,
            arrival: self.arrivals,
            seen_in: relist,
        };
        Applied::New(self.insert(target))
    }

    fn insert(&mut self, target: Target) -> Slot {
        let (id, hash) = (
            target.id,
            hash_of(self.hash_keys, &target.shape.namespace, &target.name),
        );
        let slot = self.place(target);
        self.by_id.insert(id, slot);
        let (chunks, keys) = (&self.chunks, self.hash_keys);
        self.by_name.insert_unique(hash, slot, |one| {
            at(chunks, *one).map_or(0, |target| hash_of(keys, &target.shape.namespace, &target.name))
        });
        slot
    }

    fn place(&mut self, target: Target) -> Slot {
        if let Some(slot) = self.free.pop() {
            let place = slot as usize;
            if let Some(free) = self
                .chunks
                .get_mut(place / CHUNK)
                .and_then(|chunk| chunk.get_mut(place % CHUNK))
            {
                *free = Some(target);
            }
            return slot;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let place = self.chunks.last_mut().map_or(0, |chunk| {
            chunk.push(Some(target));
            chunk.len() - 1
        });
        // Four thousand million targets do not fit into memory before they do not fit into a slot.
        (before + place) as Slot
    }

    /// Notes which configs select a target, by their places, ascending.
    pub(crate) fn set_selected_by(&mut self, slot: Slot, places: &[u32]) {
        let shared = self.selections.share(places, || Arc::from(places));
        if let Some(target) = self.get_mut(slot) {
            target.selected_by = shared;
        }
    }

    /// Notes that a config selects a target, or does not any more.
    pub(crate) fn select(&mut self, slot: Slot, place: u32, selected: bool) {
        let Some(target) = self.get(slot) else { return };
        let mut places = target.selected_by.to_vec();
        match (places.binary_search(&place), selected) {
            (Err(at), true) => places.insert(at, place),
            (Ok(at), false) => drop(places.remove(at)),
            (Ok(_), true) | (Err(_), false) => return,
        }
        self.set_selected_by(slot, &places);
    }

    /// Forgets a target.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Target> {
        let place = slot as usize;
        let target = self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)?.take()?;
        self.by_id.remove(&target.id);
        let hash = hash_of(self.hash_keys, &target.shape.namespace, &target.name);
        if let Ok(entry) = self.by_name.find_entry(hash, |one| *one == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some(target)
    }

    /// A full list begins. A list that began before and did not end is void.
    pub(crate) fn relist_started(&mut self) {
        self.relist = self.relist.wrapping_add(1);
        self.relisting = true;
    }

    /// A full list ended: those that it did not have. None if no list was under way.
    pub(crate) fn relist_finished(&mut self) -> Option<Vec<Slot>> {
        core::mem::take(&mut self.relisting).then_some(())?;
        self.listed = true;
        Some(
            self.iter()
                .filter(|(_, target)| target.seen_in != self.relist)
                .map(|(slot, _)| slot)
                .collect(),
        )
    }

    /// Whether a full list ever ended.
    pub(crate) const fn was_listed(&self) -> bool {
        self.listed
    }

    /// Whether the index is whole: an unknown target is one that does not exist, not one that was not read yet.
    pub(crate) fn is_whole(&self) -> bool {
        self.listed && !self.relisting
    }

    fn shape(&mut self, facts: &TargetFacts) -> Arc<Shape> {
        let shape = Shape {
            namespace: self.strings.share(&facts.namespace, || Arc::from(&*facts.namespace)),
            service: self.strings.share(&facts.service, || Arc::from(&*facts.service)),
            containers: self
                .container_sets
                .share(&facts.containers, || Arc::from(&*facts.containers)),
            container: facts.container.clone(),
            port: facts.port.clone(),
            host_network: facts.host_network,
        };
        self.shapes.share_owned(shape)
    }

    fn labels(&mut self, facts: &TargetFacts) -> Arc<[Arc<Label>]> {
        let labels: Vec<Arc<Label>> = facts
            .labels
            .iter()
            .map(|(name, value)| {
                let name = self.strings.share(name, || Arc::from(&**name));
                let value = (*value != facts.name).then(|| value.clone());
                self.shared_labels.share_owned(Label { name, value })
            })
            .collect();
        self.label_sets.share(&labels, || Arc::from(&*labels))
    }
}

impl Target {
    /// The value of a label.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        let place = self.labels.binary_search_by(|one| (*one.name).cmp(name)).ok()?;
        self.labels
            .get(place)
            .map(|one| one.value.as_deref().unwrap_or(&self.name))
    }
}

fn at(chunks: &[Vec<Option<Target>>], slot: Slot) -> Option<&Target> {
    let slot = slot as usize;
    chunks.get(slot / CHUNK)?.get(slot % CHUNK)?.as_ref()
}

#[expect(deprecated, reason = "see the import")]
fn hash_of(keys: (u64, u64), namespace: &str, name: &str) -> u64 {
    let mut hash = SipHasher::new_with_keys(keys.0, keys.1);
    hash.write(namespace.as_bytes());
    // No byte of UTF-8 is 0xff: where one name ends and the next begins is part of the hash.
    hash.write_u8(0xff);
    hash.write(name.as_bytes());
    hash.finish()
}
