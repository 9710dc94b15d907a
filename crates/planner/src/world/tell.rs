//! Notices: what people learn of, once per transition, from the replica that acts and from no other.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::command::{Command, Notice, NoticeTarget};
use crate::id::TargetId;
use crate::reason::Reason;
use crate::world::World;
use crate::world::configs::Config;

impl World {
    pub(super) fn tell_config(
        &self,
        config: &Config,
        reason: Reason,
        warning: bool,
        message: Box<str>,
        out: &mut Vec<Command>,
    ) {
        let facts = &config.facts;
        let about = NoticeTarget::Config {
            id: facts.id,
            namespace: facts.namespace.clone(),
            name: facts.name.clone(),
        };
        self.tell(
            Notice {
                about,
                reason,
                warning,
                message,
                once_of: None,
            },
            out,
        );
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a target that is gone has no other form than its names"
    )]
    pub(super) fn tell_target(
        &self,
        id: TargetId,
        namespace: &str,
        name: &str,
        reason: Reason,
        warning: bool,
        message: Box<str>,
        out: &mut Vec<Command>,
    ) {
        let about = NoticeTarget::Target {
            id,
            namespace: namespace.into(),
            name: name.into(),
        };
        self.tell(
            Notice {
                about,
                reason,
                warning,
                message,
                once_of: None,
            },
            out,
        );
    }

    pub(super) fn tell(&self, notice: Notice, out: &mut Vec<Command>) {
        if self.leader {
            out.push(Command::Notify(notice));
        }
    }
}
