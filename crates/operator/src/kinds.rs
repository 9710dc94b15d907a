//! What the operator watches, and how each object becomes an event.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use api::pod::{SlimPod, target};
use api::{Admission, ProfilingConfig};
use planner::{ConfigId, Event, Relisted};

use crate::watch::Kind;

/// What was read of each config as another value than the one written; the status shows it.
#[derive(Clone, Debug, Default)]
pub struct Adjustments(Arc<Mutex<BTreeMap<ConfigId, Vec<String>>>>);

impl Adjustments {
    /// Of one config.
    pub fn of(&self, config: ConfigId) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&config)
            .cloned()
            .unwrap_or_default()
    }

    fn set(&self, config: ConfigId, adjustments: Vec<String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Only configs with adjustments are held, and few have any.
        if adjustments.is_empty() {
            all.remove(&config)
        } else {
            all.insert(config, adjustments)
        };
    }
}

/// ProfilingConfigs.
pub struct Configs {
    /// What the operator's settings allow them.
    pub admission: Admission,
    /// Where adjusted values are noted.
    pub adjustments: Adjustments,
}

/// Pods, slim.
pub struct Pods;

impl Kind for Configs {
    type Object = ProfilingConfig;
    const NAME: &'static str = "configs";
    const RELISTED: Relisted = Relisted::Configs;

    fn applied(&self, config: ProfilingConfig) -> Event {
        let read = api::read(&config, &self.admission);
        self.adjustments.set(read.facts.id, read.adjustments);
        Event::ConfigApplied(Box::new(read.facts))
    }

    fn undecodable(&self, object: &str, error: &str) -> Option<Event> {
        let value = serde_json::from_str(object).ok()?;
        Some(Event::ConfigApplied(Box::new(api::read_undecodable_value(
            &value, error,
        )?)))
    }

    fn removed(&self, config: ProfilingConfig) -> Event {
        let id = api::config_id(&config.metadata);
        self.adjustments.set(id, Vec::new());
        Event::ConfigRemoved(id)
    }
}

impl Kind for Pods {
    type Object = SlimPod;
    const NAME: &'static str = "pods";
    const RELISTED: Relisted = Relisted::Targets;

    fn applied(&self, pod: SlimPod) -> Event {
        Event::TargetApplied(Box::new(target(&pod)))
    }

    fn undecodable(&self, _: &str, _: &str) -> Option<Event> {
        None
    }

    fn removed(&self, pod: SlimPod) -> Event {
        Event::TargetRemoved(target(&pod).id)
    }
}
